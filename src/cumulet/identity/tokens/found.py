"""All that the database says of a token, in one statement: it is made for each token that a process has not seen since anything
changed, and the ways to the database and back would be most of what that takes."""

from __future__ import annotations

import functools
import typing as t

import sqlalchemy as sa

from ...kernel.db import MANY, VALUES, Row, Tx
from .. import assignments, epoch, trusts
from ..fernet import Claims
from ..memberships import USER, next_end
from ..revocations import AUDIT, REVOKED
from ..roles import roles
from ..tree import PROJECT, projects
from ..users import users


class Found(t.NamedTuple):
    """`people` are those whom the token depends on: its user, and everyone of its trust; with each goes whether the token was revoked
    by itself (`revoked`), and when the first of their memberships that end by themselves will (`next_end`). `places` are their
    domains, and what the token is for with its domain. `roles` are the user's own there, by name, as `assignments.roles_on` has them.
    The rows have the columns of `COLUMNS`."""

    people: dict[str, Row]
    places: dict[str, Row]
    roles: list[Row]


_KINDS: dict[str, assignments.Kind] = {"p": "project", "d": "domain", "s": "system"}


def find(tx: Tx, claims: Claims) -> Found:
    """What there is for a token. Roles are looked for where they are the user's own, and nobody lends them."""
    kind, target = claims.scope
    lent = claims.trust_id or claims.app_credential_id or claims.access_token_id
    people = {claims.user_id} | trusts.people_of(tx, claims.trust_id)
    groups = claims.federated.group_ids if claims.federated else []
    values = assignments.caller(claims.user_id, groups) | {
        PROJECT.key: target if kind in ("p", "d") else None, AUDIT.key: claims.audit[0], VALUES.key: list(people),
    }  # fmt: skip
    statement = _statement(None if lent else _KINDS.get(kind), len(people) > 1, bool(groups))
    found: dict[str, dict[str, Row]] = {"user": {}, "place": {}, "role": {}}
    for row in tx.ahead(statement, values):
        found[row.what][row.id] = row
        if row.what == "user":
            epoch.told(tx, row)
    return Found(found["user"], found["place"], sorted(found["role"].values(), key=lambda role: role.name))


# -- statements ----------------------------------------------------------------------------------------------------

_u = users.c
COLUMNS = (_u.id, _u.name, _u.domain_id, _u.enabled, _u.valid_from, _u.password_expires_at, _u.local_id, _u.gone, projects.c.is_domain)
_OF_PEOPLE = (REVOKED.label("revoked"), next_end(_u.id).label("next_end"), *epoch.NUMBERS.values())


def _columns(what: str, of: sa.Table, more: t.Iterable[t.Any] = ()) -> list[t.Any]:
    """The same columns for each table, null where it has none of the name, and more."""
    columns = [of.c[one.name] if one.name in of.c else sa.type_coerce(sa.null(), one.type).label(one.name) for one in COLUMNS]
    return [sa.literal_column(f"'{what}'").label("what"), *columns, *(more or [sa.null().label(one.name) for one in _OF_PEOPLE])]


@functools.cache
def _statement(roles_on: assignments.Kind | None, several: bool, vouched: bool) -> sa.CompoundSelect:
    """several: whether there are more people than the token's user. vouched: as `assignments.roles_held` has it."""
    theirs = _u.id.in_(MANY) if several else _u.id == USER
    people = sa.select(*_columns("user", users, _OF_PEOPLE)).where(theirs)
    of_place = sa.select(projects.c.domain_id).where(projects.c.id == PROJECT)
    ids = sa.union_all(sa.select(_u.domain_id).where(theirs), of_place, sa.select(PROJECT))
    places = sa.select(*_columns("place", projects)).where(projects.c.id.in_(ids))
    if roles_on is None:
        return sa.union_all(people, places)
    held = assignments.roles_held(roles_on, vouched).with_only_columns(*_columns("role", roles))
    return sa.union_all(people, places, held)
