"""Roles: names for what one may do. A role that belongs to a domain is only ever a name for others, which it implies."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, SCOPES, api, epoch
from .attributes import Id, Name, Text, given, refuse_immutable, same_id, something, taken
from .entities import find, name_once, once, shown
from .listing import asked, listed
from .tree import find_domain

# -- table ---------------------------------------------------------------------------------------------------------

roles = table(
    "identity_roles",
    sa.Column("name", sa.String(255), nullable=False, index=True),
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("description", sa.Text),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    once=name_once("role"),
)

# -- wire ----------------------------------------------------------------------------------------------------------


Options = dict[t.Literal["immutable"], bool | None]


class RoleCreate(OpenBody):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None
    options: Options = msgspec.field(default_factory=dict)


class RoleUpdate(OpenBody):
    name: Name | UnsetType = UNSET
    domain_id: Id | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    options: Options | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

READ = "(rule:admin_required or (role:reader and system_scope:all)) or (role:manager and "
GET = api.rule("identity:get_role", READ + "rule:domain_managed_target_role)", "Show a role.", scopes=SCOPES)
LIST = api.rule("identity:list_roles", READ + "not domain_id:None)", "List roles.", scopes=SCOPES)
CREATE = api.rule("identity:create_role", ADMIN, "Create a role.")
UPDATE = api.rule("identity:update_role", ADMIN, "Update a role.")
DELETE = api.rule("identity:delete_role", ADMIN, "Delete a role.")
GET_OF_DOMAIN = api.rule("identity:get_domain_role", ADMIN_OR_SYSTEM_READER, "Show a domain's role.")
LIST_OF_DOMAIN = api.rule("identity:list_domain_roles", ADMIN_OR_SYSTEM_READER, "List a domain's roles.")
CREATE_OF_DOMAIN = api.rule("identity:create_domain_role", ADMIN, "Create a domain's role.")
UPDATE_OF_DOMAIN = api.rule("identity:update_domain_role", ADMIN, "Update a domain's role.")
DELETE_OF_DOMAIN = api.rule("identity:delete_domain_role", ADMIN, "Delete a domain's role.")

# -- operations ----------------------------------------------------------------------------------------------------


def target(tx: Tx, request: Request, role_id: str, **_: str) -> dict:
    """A role, for policy."""
    row = tx.get(roles, id=role_id)
    return {} if row is None else {"target.role.name": row.name, "target.role.domain_id": row.domain_id}


def _there(tx: Tx, request: Request, role_id: str) -> dict:
    find_role(tx, role_id)
    return target(tx, request, role_id)


@api.op("POST", "/roles", policy=CREATE, wrap="role", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a role, of a domain where the body names one."""
    fields, extra = taken(body, RoleCreate, "role")
    if fields.domain_id is not None:
        request.enforce(CREATE_OF_DOMAIN)
        find_domain(tx, fields.domain_id)
    once(tx, roles, fields.name, fields.domain_id)
    row = tx.insert(
        roles, id=ids.new_hex(), name=fields.name, domain_id=fields.domain_id, description=fields.description,
        options=fields.options, extra=extra,
    )  # fmt: skip
    return view(request, row)


@api.op("GET", "/roles", policy=LIST, reply="roles")
def index(tx: Tx, request: Request) -> Page:
    """List the roles that belong to no domain, or those of the domain that the query names."""
    domain_id = asked(request, "domain_id")
    if domain_id:
        request.enforce(LIST_OF_DOMAIN)
    return listed(tx, request, roles, lambda row: view(request, row), ("name",), domain_id=domain_id)


@api.op("GET", "/roles/{role_id}", policy=GET, target=_there, reply="role", errors=(404,))
def show(tx: Tx, request: Request, role_id: str) -> dict:
    """Show a role."""
    return view(request, _permitted(tx, request, role_id, GET_OF_DOMAIN))


@api.op("PATCH", "/roles/{role_id}", policy=UPDATE, target=_there, wrap="role", errors=(404, 409))
def update(tx: Tx, request: Request, role_id: str, body: dict[str, t.Any]) -> dict:
    """Change a role."""
    row = _permitted(tx, request, role_id, UPDATE_OF_DOMAIN)
    something(body, "role")
    same_id(body, role_id)
    fields, extra = taken(body, RoleUpdate, "role")
    refuse_immutable(row.options, fields.options, role_id, "role")
    if fields.domain_id is not UNSET and fields.domain_id != row.domain_id:
        raise BadRequest("Update of `domain_id` is not allowed.")
    values = given(fields, "domain_id")
    if "name" in values:
        once(tx, roles, values["name"], row.domain_id, but=row.id)
    if "options" in values:
        values["options"] = {name: value for name, value in (row.options | values["options"]).items() if value is not None}
    tx.update(roles, row.id, **values, extra=row.extra | extra)
    epoch.bump(tx)
    return view(request, find_role(tx, role_id))


@api.op("DELETE", "/roles/{role_id}", policy=DELETE, target=_there, status=204, errors=(404,))
def delete(tx: Tx, request: Request, role_id: str) -> None:
    """Delete a role with its assignments."""
    row = _permitted(tx, request, role_id, DELETE_OF_DOMAIN)
    refuse_immutable(row.options, None, role_id, "role", "delete")
    tx.delete(roles, id=row.id)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_role(tx: Tx, id: str) -> Row:
    return find(tx, roles, id, "role")


def role_named(tx: Tx, name: str) -> Row | None:
    """The role of a name that belongs to no domain."""
    return tx.first(sa.select(roles).where(roles.c.name == name, roles.c.domain_id.is_(None)))


def view(request: Request, row: Row) -> dict:
    return shown(request, "roles", row, "name", "domain_id", "description", "options")


def _permitted(tx: Tx, request: Request, role_id: str, rule_of_domain: str) -> Row:
    row = find_role(tx, role_id)
    if row.domain_id is not None:
        request.enforce(rule_of_domain, target(tx, request, role_id))
    return row
