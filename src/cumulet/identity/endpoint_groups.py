"""Endpoint groups: endpoints that have a service, a region or an interface in common."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from .attributes import Name, Text, expecting, given, same_id, something, taken
from .endpoints import endpoints
from .entities import find, shown
from .listing import listed

# -- table ---------------------------------------------------------------------------------------------------------

endpoint_groups = table(
    "identity_endpoint_groups",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("filters", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

FILTERS = {"interface", "service_id", "region_id"}


class GroupCreate(OpenBody):
    name: Name
    filters: dict[str, t.Any]
    description: Text | None = None


class GroupUpdate(OpenBody):
    name: Name | UnsetType = UNSET
    filters: dict[str, t.Any] | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("identity:create_endpoint_group", ADMIN, "Create an endpoint group.")
LIST = api.rule("identity:list_endpoint_groups", ADMIN_OR_SYSTEM_READER, "List endpoint groups.")
GET = api.rule("identity:get_endpoint_group", ADMIN_OR_SYSTEM_READER, "Show an endpoint group.")
UPDATE = api.rule("identity:update_endpoint_group", ADMIN, "Update an endpoint group.")
DELETE = api.rule("identity:delete_endpoint_group", ADMIN, "Delete an endpoint group.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-EP-FILTER/endpoint_groups"
ONE = ALL + "/{endpoint_group_id}"


@api.op("POST", ALL, policy=CREATE, wrap="endpoint_group", status=201)
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create an endpoint group."""
    fields, _ = taken(body, GroupCreate, "endpoint_group")
    if not fields.filters:
        raise BadRequest("filters field is required and cannot be empty")
    _check(fields.filters)
    row = tx.insert(endpoint_groups, id=ids.new_hex(), name=fields.name, description=fields.description, filters=fields.filters)
    return view(request, row)


@api.op("GET", ALL, policy=LIST, reply="endpoint_groups")
def index(tx: Tx, request: Request) -> Page:
    """List endpoint groups."""
    return listed(tx, request, endpoint_groups, lambda row: view(request, row), ("name",))


@api.op("GET", ONE, policy=GET, reply="endpoint_group", errors=(404,))
def show(tx: Tx, request: Request, endpoint_group_id: str) -> dict:
    """Show an endpoint group."""
    return view(request, find_group(tx, endpoint_group_id))


@api.op("PATCH", ONE, policy=UPDATE, wrap="endpoint_group", errors=(404,))
def update(tx: Tx, request: Request, endpoint_group_id: str, body: dict[str, t.Any]) -> dict:
    """Change an endpoint group. Filters that are given take the place of all that it had."""
    row = find_group(tx, endpoint_group_id)
    something(body, "endpoint_group")
    same_id(body, endpoint_group_id)
    fields, _ = taken(body, GroupUpdate, "endpoint_group")
    values = given(fields)
    if "filters" in values:
        _check(values["filters"])
    tx.update(endpoint_groups, row.id, **values)
    epoch.bump(tx, epoch.CATALOG)
    return show(tx, request, endpoint_group_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, endpoint_group_id: str) -> None:
    """Delete an endpoint group."""
    tx.delete(endpoint_groups, id=find_group(tx, endpoint_group_id).id)
    epoch.bump(tx, epoch.CATALOG)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_group(tx: Tx, id: str) -> Row:
    return find(tx, endpoint_groups, id, "Endpoint Group")


def matching(filters: dict[str, str]) -> sa.ColumnElement[bool]:
    """Which endpoints are in a group with these filters."""
    return sa.and_(sa.true(), *(endpoints.c[name] == value for name, value in filters.items()))


def _check(filters: dict[str, t.Any]) -> None:
    if filters.keys() - FILTERS:
        raise expecting("service_id or region_id or interface", "endpoint_group")
    if not all(isinstance(value, str) for value in filters.values()):
        raise BadRequest("Invalid input for field/attribute filters: each of them is a text")
    if filters.get("interface", "public") not in ("public", "internal", "admin"):
        raise BadRequest("Invalid input for field/attribute filters.interface: admin, internal or public")


def view(request: Request, row: Row) -> dict:
    return shown(request, "OS-EP-FILTER/endpoint_groups", row, "name", "description", "filters")
