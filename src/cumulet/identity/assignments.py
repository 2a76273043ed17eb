"""Assignments: who has which role where, and what that comes to through groups, the tree and implied roles."""

from __future__ import annotations

import hashlib
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from . import implied_roles
from .memberships import ids_of_user
from .roles import roles
from .tree import ancestors, find_project, ids_below

Kind = t.Literal["project", "domain", "system"]

assignments = table(
    "identity_assignments",
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("target_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True),
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), index=True),
    sa.Column("group_id", sa.String(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), index=True),
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


def of_user(tx: Tx, user_id: str, *where: sa.ColumnElement[bool], also: t.Collection[str] = ()) -> list[Row]:
    """The assignments of a user and of the groups that they are in. also: further groups, by what their token says."""
    in_groups = sa.or_(assignments.c.group_id.in_(ids_of_user(user_id)), *([assignments.c.group_id.in_(also)] if also else []))
    theirs = sa.or_(assignments.c.user_id == user_id, in_groups)
    return tx.all(sa.select(assignments).where(theirs, *where))


def roles_on(tx: Tx, user_id: str, kind: Kind, target_id: str | None, also: t.Collection[str] = ()) -> list[Row]:
    """The roles that a user has on a project, a domain or the system in the end, by name. A role that belongs to
    a domain counts for those that it implies, and is not among them itself."""
    return effective(tx, {row.role_id for row in of_user(tx, user_id, _reaching(tx, kind, target_id), also=also)})


def effective(tx: Tx, role_ids: set[str]) -> list[Row]:
    """These roles and those that they imply, without the ones that belong to a domain, by name."""
    if not role_ids:
        return []
    found = implied_roles.expanded(implied_roles.direct(tx), role_ids)
    return tx.all(sa.select(roles).where(roles.c.id.in_(found), roles.c.domain_id.is_(None)).order_by(roles.c.name))


def project_ids_of(tx: Tx, user_id: str, also: t.Collection[str] = ()) -> set[str]:
    """The projects on which a user has any role."""
    held = of_user(tx, user_id, assignments.c.kind != "system", also=also)
    found = {row.target_id for row in held if row.kind == "project" and not row.inherited}
    return found.union(*ids_below(tx, {row.target_id for row in held if row.inherited}).values())


def domain_ids_of(tx: Tx, user_id: str, also: t.Collection[str] = ()) -> set[str]:
    """The domains on which a user has any role."""
    on = (assignments.c.kind == "domain", assignments.c.inherited.is_(False))
    return {row.target_id for row in of_user(tx, user_id, *on, also=also)}


def _reaching(tx: Tx, kind: Kind, target_id: str | None) -> sa.ColumnElement[bool]:
    own = sa.and_(assignments.c.kind == kind, assignments.c.target_id == target_id, assignments.c.inherited.is_(False))
    if kind != "project" or target_id is None:
        return own
    above = [row.id for row in ancestors(tx, find_project(tx, target_id))]
    return sa.or_(own, sa.and_(assignments.c.target_id.in_(above), assignments.c.inherited.is_(True)))


def names_of(tx: Tx, ids: set[str], of: sa.Table) -> dict[str, Row]:
    """Rows by id, of projects, users, groups or roles."""
    return {row.id: row for row in tx.all(sa.select(of).where(of.c.id.in_(ids)))} if ids else {}
