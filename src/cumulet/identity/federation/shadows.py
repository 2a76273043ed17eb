"""Users whom an identity provider brings: each has a row of their own, from their first login on, and what the rules of a
mapping say they have: groups for a while, projects for good."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t
from urllib.parse import quote

import sqlalchemy as sa

from ...kernel import clock, ids
from ...kernel.db import Row, Tx
from ...kernel.errors import Conflict, Forbidden, Unauthorized
from .. import epoch, memberships
from ..assignments import Assignment, assign, assignments
from ..entities import missing
from ..roles import role_named, roles
from ..tree import domain_named, find_domain, projects
from ..users import find_user, users
from .rules import Json, Mapped
from .tables import federated_names

LONGEST = 255
"""Characters of a name, and of a unique id."""


def shadow(tx: Tx, provider: Row, protocol_id: str, mapped: Mapped, group_ids: list[str], remote_user: str | None) -> Row:
    """The user that the rules of a mapping describe, brought up to date. Raises Unauthorized where they do not say who it
    is, Conflict where another provider brought a user of the same domain and unique id."""
    name, unique_id = _named(mapped.user, remote_user)
    domain = _domain_id(tx, mapped.user.get("domain"), provider)
    known = tx.get(federated_names, provider_id=provider.id, protocol_id=protocol_id, unique_id=unique_id)
    user = find_user(tx, known.user_id) if known else _make(tx, domain, unique_id, name)
    if known is None:
        tx.insert(federated_names, provider_id=provider.id, protocol_id=protocol_id, unique_id=unique_id, user_id=user.id)
    _freshen(tx, user, name, mapped.user.get("email"))
    if memberships.tell(tx, user.id, provider.id, group_ids, provider.authorization_ttl or 0) and known:
        tx.update(users, user.id, valid_from=clock.now())
        epoch.bump(tx)
    return find_user(tx, user.id)


def provision(tx: Tx, provider: Row, user: Row, wanted: list[Json], *, exactly: bool) -> None:
    """Give a user roles on projects, which are made where they are not there. exactly: take their other roles on projects
    away. Raises NotFound for a role or domain that there is not, Forbidden for a role of another domain."""
    given = [
        (_project(tx, provider, project), [_role(tx, provider, user, role["name"]) for role in project["roles"]]) for project in wanted
    ]
    held = [Assignment("project", project_id, user.id, None, role_id) for project_id, role_ids in given for role_id in role_ids]
    wanted_ids = {one.id for one in held}
    before = {row.id for row in tx.rows(assignments, kind="project", user_id=user.id)}
    for id in before - wanted_ids if exactly else ():
        tx.delete(assignments, id=id)
    for one in held:
        assign(tx, one)
    if wanted_ids - before or (exactly and before - wanted_ids):
        epoch.bump(tx)


@contextlib.contextmanager
def without_orphans(tx: Tx, provider_id: str, *protocol_ids: str) -> t.Iterator[None]:
    """Round what removes a provider, or a protocol of it: users whom nothing else vouches for go too."""
    theirs = sa.select(federated_names.c.user_id).where(federated_names.c.provider_id == provider_id)
    if protocol_ids:
        theirs = theirs.where(federated_names.c.protocol_id.in_(protocol_ids))
    user_ids = list(tx.execute(theirs).scalars())
    yield
    kept = sa.select(federated_names.c.user_id)
    tx.execute(users.delete().where(users.c.id.in_(user_ids), users.c.shadow, users.c.id.not_in(kept)))
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def _named(user: Json, remote_user: str | None) -> tuple[str, str]:
    """A user's name and unique id: where one is not told, it is the other."""
    name = user.get("name") or remote_user or user.get("id")
    if not name:
        raise Unauthorized(
            "Could not map user while setting ephemeral user identity. Either mapping rules must specify user id/name or "
            "REMOTE_USER environment variable must be set."
        )
    unique_id = quote(user.get("id") or name)
    if len(name) > LONGEST or len(unique_id) > LONGEST:
        raise Unauthorized(f"The mapping makes a user's name or id of more than {LONGEST} characters: {name[:80]}...")
    return name, unique_id


def _domain_id(tx: Tx, told: Json | None, provider: Row) -> str:
    """The domain that a mapping names; the provider's where it names none."""
    if not told or not (told.get("id") or told.get("name")):
        return provider.domain_id
    if told.get("id"):
        return find_domain(tx, told["id"]).id
    row = domain_named(tx, told["name"])
    if row is None:
        raise missing("domain", told["name"])
    return row.id


def _make(tx: Tx, domain_id: str, unique_id: str, name: str) -> Row:
    """A new user. The id is what the Identity API's service makes of domain and unique id, so that it is the same in each
    cloud, and again when the user comes back."""
    id = hashlib.sha256(f"{domain_id}user{unique_id}".encode()).hexdigest()
    if tx.get(users, id=id) is not None:
        raise Conflict("Conflict occurred attempting to store federated_user - Duplicate entry.")
    return tx.insert(users, id=id, name=name, domain_id=domain_id, enabled=True, valid_from=clock.now(), options={}, extra={}, shadow=True)


def _freshen(tx: Tx, user: Row, name: str, email: str | None) -> None:
    """What a provider says of a user's name counts for those that it brought."""
    values: dict[str, t.Any] = {"last_active_on": clock.now().date()}
    if user.shadow and user.name != name:
        values["name"] = name
        epoch.bump(tx)
    if email and user.extra.get("email") != email:
        values["extra"] = user.extra | {"email": email}
    if any(getattr(user, key) != value for key, value in values.items()):
        tx.update(users, user.id, **values)


def _role(tx: Tx, provider: Row, user: Row, name: str) -> str:
    """A role by its name: one of the user's domain, or one that is no domain's."""
    row = tx.first(sa.select(roles).where(roles.c.name == name, roles.c.domain_id == user.domain_id)) or role_named(tx, name)
    if row is not None:
        return row.id
    if tx.scalar(sa.select(roles.c.id).where(roles.c.name == name)):
        raise Forbidden(f"role: {name} must be within the same domain as the identity provider: {provider.id}.")
    raise missing("role", name)


def _project(tx: Tx, provider: Row, wanted: Json) -> str:
    domain_id = _domain_id(tx, wanted.get("domain"), provider)
    if not 0 < len(wanted["name"]) <= 64:
        raise Unauthorized(f"The mapping names a project by other than 1 to 64 characters: {wanted['name'][:80]!r}")
    row = tx.get(projects, domain_id=domain_id, name=wanted["name"])
    return row.id if row else tx.insert(
        projects, id=ids.new_hex(), name=wanted["name"], domain_id=domain_id, parent_id=domain_id, description="", enabled=True,
        is_domain=False, options={}, extra={},
    ).id  # fmt: skip
