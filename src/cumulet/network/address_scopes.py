"""Address scopes: groups of subnet pools within which no address is used twice."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Conflict, Page, Reply, Request, UnsetType, View
from .bodies import Attributes, Json, ProjectId, Text, answer, one, one_or_many
from .resource import attribute_rules, change, check_revision, find, listed, own, owner, remove, target
from .service import ADMIN, MEMBER, READER, api
from .sharing import by_shared, given_to, share, shared_with
from .tables import address_scopes, subnetpools

KIND = "address_scope"

# -- wire ----------------------------------------------------------------------------------------------------------


class AddressScopeUpdate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class AddressScopeCreate(Attributes, kw_only=True):
    name: Text
    shared: bool | UnsetType = UNSET
    ip_version: t.Literal[4, 6]
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class AddressScope(View, kw_only=True):
    id: str
    name: str
    tenant_id: str
    project_id: str
    ip_version: int
    shared: bool


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_address_scope", MEMBER, "Create an address scope.")
GET = api.rule("get_address_scope", f"{READER} or rule:shared_address_scopes", "Show an address scope.")
UPDATE = api.rule("update_address_scope", MEMBER, "Change an address scope.")
DELETE = api.rule("delete_address_scope", MEMBER, "Delete an address scope.")
api.rule("shared_address_scopes", "True:%(shared)s", "The scope is shared by all projects.")
api.rule("create_address_scope:shared", ADMIN, "Share a new address scope.")
api.rule("update_address_scope:shared", ADMIN, "Share an address scope.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/address-scopes", policy=CREATE, status=201, errors=(403,))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, AddressScope | list[AddressScope]]]:
    """Create an address scope, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "address_scope", "address_scopes", AddressScopeCreate)]
    return Reply(answer(body, "address_scope", "address_scopes", _views(tx, request, rows)))


@api.op("GET", "/address-scopes", policy=GET, reply="address_scopes")
def index(tx: Tx, request: Request) -> Page[AddressScope]:
    """List the project's address scopes, and the shared ones."""
    return listed(tx, request, address_scopes, "address_scopes", lambda rows: _views(tx, request, rows), visible=visible(request.context),
                  special={"shared": by_shared(address_scopes.c.id, KIND, request.context.project_id)})  # fmt: skip


@api.op("GET", "/address-scopes/{id}", policy=GET, reply="address_scope", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> AddressScope:
    """Show an address scope."""
    return _views(tx, request, [find_scope(tx, request.context, id)])[0]


@api.op("PUT", "/address-scopes/{id}", policy=UPDATE, reply="address_scope", errors=(404, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> AddressScope:
    """Rename an address scope, or share it; sharing cannot be taken back."""
    row = _owned(tx, request, id, UPDATE)
    given = one(body, "address_scope", AddressScopeUpdate).given()
    attribute_rules(request, UPDATE, given, {}, target(row))
    shared = given.pop("shared", None)
    if shared is False and shared_with(tx, KIND, [id], request.context.project_id):
        raise BadRequest(
            f"Unable to update address scope {id} : Shared address scope can't be unshared.",
            kind="AddressScopeUpdateError",
        )
    if shared:
        share(tx, KIND, row)
    return _views(tx, request, [change(tx, request, address_scopes, row, **given)])[0]


@api.op("DELETE", "/address-scopes/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete an address scope that no subnet pool is in."""
    check_revision(request, _owned(tx, request, id, DELETE))
    if tx.rows(subnetpools, address_scope_id=id):
        raise Conflict(f"Unable to complete operation on address scope {id}. There are one or more subnet pools in use "
                       "on the address scope.", kind="AddressScopeInUse")  # fmt: skip
    remove(tx, address_scopes, id)


# -- helpers -------------------------------------------------------------------------------------------------------


def visible(context: Context) -> sa.ColumnElement[bool]:
    return sa.or_(own(context, address_scopes), address_scopes.c.id.in_(given_to(KIND, context.project_id)))


def find_scope(tx: Tx, context: Context, id: str) -> Row:
    """The scope's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, address_scopes, id, "Address scope", visible(context))


def _owned(tx: Tx, request: Request, id: str, rule: str) -> Row:
    row = find_scope(tx, request.context, id)
    request.enforce(rule, target(row))
    return row


def _create(tx: Tx, request: Request, wanted: AddressScopeCreate) -> Row:
    given = wanted.given()
    project = owner(request, given)
    of = {"project_id": project, "tenant_id": project}
    request.enforce(CREATE, of)
    attribute_rules(request, CREATE, given, {}, of, {"shared": False})
    shared = given.pop("shared", False)
    row = tx.insert(address_scopes, **given, description="", project_id=project)
    if shared:
        share(tx, KIND, row)
    return row


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[AddressScope]:
    shared = shared_with(tx, KIND, [row.id for row in rows], request.context.project_id)
    return [
        AddressScope(
            id=row.id, name=row.name, tenant_id=row.project_id, project_id=row.project_id, ip_version=row.ip_version,
            shared=row.id in shared,
        ) for row in rows
    ]  # fmt: skip
