"""Assignments: who has which role where, and what that comes to through groups, the tree and implied roles."""

from __future__ import annotations

import functools
import hashlib
import typing as t

import sqlalchemy as sa

from ..kernel.db import MANY, Row, Texts, Tx, each, table
from . import implied_roles
from .groups import groups
from .memberships import OF_USER, USER, holding
from .roles import roles
from .tree import PROJECT, above, below

Kind = t.Literal["project", "domain", "system"]

assignments = table(
    "identity_assignments",
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("target_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True),
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), index=True),
    sa.Column("group_id", sa.String(64), sa.ForeignKey(groups.c.id, ondelete="CASCADE"), index=True),
    sa.Column("role_id", sa.String(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("inherited", sa.Boolean, nullable=False),
)
"""`target_id` is a project's or a domain's id, none for the system. An inherited one counts on the projects below the
target and not on itself. The row's id is made of all the rest, so that no two rows say the same."""


class Assignment(t.NamedTuple):
    """One role of one user or group on one target."""

    kind: Kind
    target_id: str | None
    user_id: str | None
    group_id: str | None
    role_id: str
    inherited: bool = False

    @property
    def id(self) -> str:
        return hashlib.sha256("\n".join(str(part) for part in self).encode()).hexdigest()


def assign(tx: Tx, assignment: Assignment) -> None:
    """Record an assignment, once."""
    if not held(tx, assignment):
        tx.insert(assignments, id=assignment.id, **assignment._asdict())


def held(tx: Tx, assignment: Assignment) -> bool:
    return tx.get(assignments, id=assignment.id) is not None


# -- statements, each made once ------------------------------------------------------------------------------------


def of_user(
    *where: sa.ColumnElement[bool], inside: sa.Select = OF_USER, what: sa.FromClause | sa.Column = assignments
) -> sa.CompoundSelect:
    """The assignments of a user and of the groups that they are in, or a column of them: PostgreSQL would look at all for an `or`."""
    own, shared = assignments.c.user_id == USER, assignments.c.group_id.in_(inside)
    return sa.union_all(sa.select(what).where(own, *where), sa.select(what).where(shared, *where))


_VOUCHED: sa.BindParameter[list[str]] = sa.bindparam("vouched", type_=Texts)
OF_CALLER = sa.select(OF_USER.union(each(_VOUCHED)).subquery().c.group_id)
"""The ids of the groups that a user is in, or is said to be in by what their token says. It is executed with `caller`."""
_of_caller = functools.partial(of_user, inside=OF_CALLER)


def caller(user_id: str, also: t.Collection[str] = ()) -> dict[str, t.Any]:
    """What statements are executed with for a user. also: further groups that they are in, by what their token says."""
    return holding(user_id) | {_VOUCHED.key: list(also)}


def _direct(kind: Kind) -> sa.ColumnElement[bool]:
    return sa.and_(assignments.c.kind == kind, assignments.c.inherited.is_(False))


def _effective(held: sa.ColumnElement[str]) -> sa.Select:
    """The roles of these ids and all that they imply, however indirectly, without those that belong to a domain."""
    found = sa.select(held.label("id")).cte("found", recursive=True)
    implied = implied_roles.implied_roles.c
    found = found.union(sa.select(implied.implied_role_id).join(found, implied.prior_role_id == found.c.id))
    return sa.select(roles).where(roles.c.id.in_(sa.select(found.c.id)), roles.c.domain_id.is_(None))


def _on_projects() -> sa.CompoundSelect:
    held = _of_caller(assignments.c.kind != "system").cte("held")
    under = below(sa.select(held.c.target_id).where(held.c.inherited))
    return sa.union(sa.select(held.c.target_id).where(held.c.kind == "project", held.c.inherited.is_(False)), sa.select(under.c.id))


ON_PROJECTS = _on_projects()
"""The ids of the projects on which a user has any role."""
_inherited = sa.and_(assignments.c.inherited, assignments.c.target_id.in_(sa.select(above(PROJECT).c.id)))
_on_it = assignments.c.target_id == PROJECT
_COUNTING: dict[Kind, sa.ColumnElement[bool]] = {
    "project": sa.or_(sa.and_(_direct("project"), _on_it), _inherited),
    "domain": sa.and_(_direct("domain"), _on_it),
    "system": _direct("system"),
}


@functools.cache
def roles_held(kind: Kind, vouched: bool) -> sa.Select:
    """The roles that a user has in the end on a project, a domain or the system, as a statement to be executed with `caller` and
    `PROJECT`. vouched: whether they may be said to be in further groups. Few are, and PostgreSQL would plan for some each time."""
    held = (_of_caller if vouched else of_user)(_COUNTING[kind], what=assignments.c.role_id)
    return _effective(held.subquery().c.role_id)


_EFFECTIVE = _effective(sa.select(roles.c.id).where(roles.c.id.in_(MANY)).subquery().c.id)
_DOMAINS, _SYSTEM = _of_caller(_direct("domain")), _of_caller(_direct("system"))

# -- what they come to ---------------------------------------------------------------------------------------------


def roles_on(tx: Tx, user_id: str, kind: Kind, target_id: str | None, also: t.Collection[str] = ()) -> list[Row]:
    """The roles that a user has on a project, a domain or the system in the end, by name. A role that belongs to
    a domain counts for those that it implies, and is not among them itself."""
    values = caller(user_id, also) | ({PROJECT.key: target_id} if target_id else {})
    return _by_name(tx.all(roles_held(kind, bool(also)), values))


def effective(tx: Tx, role_ids: set[str]) -> list[Row]:
    """These roles and those that they imply, without the ones that belong to a domain, by name."""
    return _by_name(tx.many(_EFFECTIVE, role_ids))


def _by_name(found: list[Row]) -> list[Row]:
    return sorted(found, key=lambda row: row.name)


def project_ids_of(tx: Tx, user_id: str, also: t.Collection[str] = ()) -> set[str]:
    """The projects on which a user has any role."""
    return {row.target_id for row in tx.all(ON_PROJECTS, caller(user_id, also))}


def domain_ids_of(tx: Tx, user_id: str, also: t.Collection[str] = ()) -> set[str]:
    """The domains on which a user has any role."""
    return {row.target_id for row in tx.all(_DOMAINS, caller(user_id, also))}


def on_system(tx: Tx, user_id: str, also: t.Collection[str] = ()) -> bool:
    """Whether a user has any role on the system."""
    return bool(tx.all(_SYSTEM, caller(user_id, also)))


def names_of(tx: Tx, ids: set[str], of: sa.Table) -> dict[str, Row]:
    """Rows by id, of projects, users, groups or roles."""
    return {row.id: row for row in tx.among(of.c.id, ids)}
