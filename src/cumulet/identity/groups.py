"""Groups: users that are given roles together."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, NotFound
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import SCOPES, api, epoch, users
from .attributes import Id, ShortName, Text, given, same_id, something, taken
from .domain_drivers import check_new, check_same, check_writable
from .entities import find, missing, once, shown
from .listing import Within, listed, of_own_domain
from .memberships import OF_USER, ends, holding, memberships
from .state import state
from .times import iso
from .tree import DEFAULT_DOMAIN, find_domain

# -- table ---------------------------------------------------------------------------------------------------------

groups = table(
    "identity_groups",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("local_id", sa.String(255)),
    sa.Column("gone", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_identity_groups_name", "name"),
    unique={
        ("domain_id", "name"): "Conflict occurred attempting to store group - Duplicate entry found with name {name} at "
        "domain ID {domain_id}."
    },
)

"""`local_id` and `gone` are as a user's."""

# -- wire ----------------------------------------------------------------------------------------------------------


class GroupCreate(OpenBody):
    name: ShortName
    domain_id: Id | UnsetType = UNSET
    description: Text | None = None


class GroupUpdate(OpenBody):
    name: ShortName | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

READ = "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.group.domain_id)s"
WRITE = "(rule:admin_required) or (role:manager and domain_id:%(target.group.domain_id)s"
AND_USER = " and domain_id:%(target.user.domain_id)s)"

GET = api.rule("identity:get_group", READ + ")", "Show a group.", scopes=SCOPES)
LIST = api.rule("identity:list_groups", READ + ")", "List groups.", scopes=SCOPES)
LIST_OF_USER = api.rule(
    "identity:list_groups_for_user",
    "(rule:admin_required) or (role:reader and system_scope:all) or "
    "(role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(user_id)s",
    "List the groups that a user is in.",
    scopes=SCOPES,
)
CREATE = api.rule("identity:create_group", WRITE + ")", "Create a group.", scopes=SCOPES)
UPDATE = api.rule("identity:update_group", WRITE + ")", "Update a group.", scopes=SCOPES)
DELETE = api.rule("identity:delete_group", WRITE + ")", "Delete a group.", scopes=SCOPES)
LIST_USERS = api.rule("identity:list_users_in_group", READ + ")", "List the users in a group.", scopes=SCOPES)
REMOVE = api.rule("identity:remove_user_from_group", WRITE + AND_USER, "Remove a user from a group.", scopes=SCOPES)
CHECK = api.rule("identity:check_user_in_group", READ + AND_USER, "Check whether a user is in a group.", scopes=SCOPES)
ADD = api.rule("identity:add_user_to_group", WRITE + AND_USER, "Add a user to a group.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


def target(tx: Tx, request: Request, group_id: str, user_id: str | None = None, **_: str) -> dict:
    """A group, and a user where the path names one, for policy."""
    row = tx.get(groups, id=group_id)
    state(request.runtime).directories.ask_group(row)
    found = {} if row is None or row.gone else {"target.group.id": row.id, "target.group.domain_id": row.domain_id}
    return found | (users.target(tx, request, user_id) if user_id else {})


def _there(tx: Tx, request: Request, group_id: str) -> dict:
    find_group(tx, group_id)
    return target(tx, request, group_id)


def _own_domain(tx: Tx, request: Request) -> dict:
    return {"target.group.domain_id": request.context.domain_id}


@api.op("POST", "/groups", policy=CREATE, target=_own_domain, wrap="group", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a group, in the token's domain (or the default one) where the body names none."""
    fields, extra = taken(body, GroupCreate, "group")
    domain_id = fields.domain_id or request.context.domain_id or DEFAULT_DOMAIN
    request.enforce(CREATE, {"target.group.domain_id": fields.domain_id or None})
    find_domain(tx, domain_id)
    check_new(tx, domain_id)
    row = tx.insert(groups, id=ids.new_hex(), name=fields.name, domain_id=domain_id, description=fields.description or "", extra=extra)
    return view(request, row)


@api.op("GET", "/groups", policy=LIST, target=_own_domain, reply="groups")
def index(tx: Tx, request: Request) -> Page:
    """List groups; with a token for a domain, that domain's alone."""
    users.ask_directory(tx, request, "group")
    return listed(tx, request, groups, lambda row: view(request, row), ("domain_id", "name"), gone=False, **of_own_domain(request))


@api.op("GET", "/groups/{group_id}", policy=GET, target=target, reply="group", errors=(404,))
def show(tx: Tx, request: Request, group_id: str) -> dict:
    """Show a group."""
    return view(request, find_group(tx, group_id))


@api.op("PATCH", "/groups/{group_id}", policy=UPDATE, target=target, wrap="group", errors=(404, 409))
def update(tx: Tx, request: Request, group_id: str, body: dict[str, t.Any]) -> dict:
    """Change a group."""
    row = find_group(tx, group_id)
    check_writable(row)
    something(body, "group")
    same_id(body, group_id)
    fields, extra = taken(body, GroupUpdate, "group")
    if fields.domain_id is not UNSET and fields.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    values = given(fields, "domain_id")
    if "name" in values:
        once(tx, groups, values["name"], row.domain_id, but=row.id)
    if "description" in values:
        values["description"] = values["description"] or ""
    tx.update(groups, row.id, **values, extra=row.extra | extra)
    return show(tx, request, group_id)


@api.op("DELETE", "/groups/{group_id}", policy=DELETE, target=_there, status=204, errors=(404,))
def delete(tx: Tx, request: Request, group_id: str) -> None:
    """Delete a group with its assignments; its users stay."""
    row = find_group(tx, group_id)
    check_writable(row)
    tx.delete(groups, id=row.id)
    epoch.bump(tx)


@api.op("GET", "/groups/{group_id}/users", policy=LIST_USERS, target=target, reply="users", errors=(404,))
def index_users(tx: Tx, request: Request, group_id: str) -> Page:
    """List the users in a group."""
    state(request.runtime).directories.ask_members([find_group(tx, group_id)])
    inside, filters = Within(_IN_GROUP, {"group_id": group_id}), ("domain_id", "enabled", "name")
    return listed(tx, request, users.users, lambda row: users.view(request, row), filters, *users.expiring(request), within=inside,
                  **of_own_domain(request))  # fmt: skip


@api.op("GET", "/users/{user_id}/groups", policy=LIST_OF_USER, target=users.target, reply="groups", errors=(404,))
def index_of_user(tx: Tx, request: Request, user_id: str) -> Page:
    """List the groups that a user is in."""
    users.find_user(tx, user_id)
    until = ends(tx, user_id)
    shown_with_end = lambda row: view(request, row) | {"membership_expires_at": iso(until.get(row.id), zone="")}
    return listed(tx, request, groups, shown_with_end, ("name",), within=Within(_WITH_USER, holding(user_id)), **of_own_domain(request))


@api.op("PUT", "/groups/{group_id}/users/{user_id}", policy=ADD, target=target, status=204, errors=(404,))
def add_user(tx: Tx, request: Request, group_id: str, user_id: str) -> None:
    """Add a user to a group."""
    pair = _pair(tx, group_id, user_id, write=True)
    if tx.get(memberships, **pair) is None:
        tx.insert(memberships, **pair)
        epoch.bump(tx)


@api.op("GET", "/groups/{group_id}/users/{user_id}", policy=CHECK, target=target, status=204, errors=(404,))
def check_user(tx: Tx, request: Request, group_id: str, user_id: str) -> None:
    """Check whether a user is in a group."""
    pair = _pair(tx, group_id, user_id)
    if group_id not in {row.group_id for row in tx.all(OF_USER, holding(pair["user_id"]))}:
        raise _not_inside(group_id, user_id)


@api.op("DELETE", "/groups/{group_id}/users/{user_id}", policy=REMOVE, target=target, status=204, errors=(404,))
def remove_user(tx: Tx, request: Request, group_id: str, user_id: str) -> None:
    """Remove a user from a group, which ends the tokens that they have."""
    pair = _pair(tx, group_id, user_id, write=True)
    if not tx.delete(memberships, **pair):
        raise _not_inside(group_id, user_id)
    tx.update(users.users, user_id, valid_from=clock.now())
    epoch.bump(tx)


_IN_GROUP = users.users.c.id.in_(sa.select(memberships.c.user_id).where(memberships.c.group_id == sa.bindparam("group_id")))
_WITH_USER = groups.c.id.in_(OF_USER)

# -- helpers -------------------------------------------------------------------------------------------------------


def find_group(tx: Tx, id: str) -> Row:
    row = find(tx, groups, id, "group")
    if row.gone:
        raise missing("group", id)
    return row


def _pair(tx: Tx, group_id: str, user_id: str, *, write: bool = False) -> dict[str, str]:
    """A membership. Raises Forbidden for one that there cannot be, and to write one that is a directory's."""
    group, user = find_group(tx, group_id), users.find_user(tx, user_id)
    check_same(group, user)
    if write:
        check_writable(group)
    return {"group_id": group.id, "user_id": user.id}


def view(request: Request, row: Row) -> dict:
    return shown(request, "groups", row, "name", "domain_id", "description")


def _not_inside(group_id: str, user_id: str) -> NotFound:
    return NotFound(f"User '{user_id}' not found in group '{group_id}'")
