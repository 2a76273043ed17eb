"""Services: what the catalog lists, by type."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import Conflict, Forbidden
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from .attributes import Text, given, same_id, something, taken
from .entities import find, shown
from .listing import listed

# -- table ---------------------------------------------------------------------------------------------------------

services = table(
    "identity_services",
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

Type = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Label = t.Annotated[str, msgspec.Meta(max_length=255)]


class ServiceCreate(OpenBody):
    type: Type
    name: Label | None = None
    description: Text | None = None
    enabled: bool = True


class ServiceUpdate(OpenBody):
    type: Type | UnsetType = UNSET
    name: Label | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_service", ADMIN_OR_SYSTEM_READER, "Show a service.")
LIST = api.rule("identity:list_services", ADMIN_OR_SYSTEM_READER, "List services.")
CREATE = api.rule("identity:create_service", ADMIN, "Create a service.")
UPDATE = api.rule("identity:update_service", ADMIN, "Update a service.")
DELETE = api.rule("identity:delete_service", ADMIN, "Delete a service.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/services", policy=CREATE, wrap="service", status=201)
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a service."""
    fields, extra = taken(body, ServiceCreate, "service")
    row = tx.insert(
        services, id=ids.new_hex(), type=fields.type, name=fields.name, description=fields.description,
        enabled=fields.enabled, extra=extra,
    )  # fmt: skip
    epoch.bump(tx, epoch.CATALOG)
    return view(request, row)


@api.op("GET", "/services", policy=LIST, reply="services")
def index(tx: Tx, request: Request) -> Page:
    """List services."""
    return listed(tx, request, services, lambda row: view(request, row), ("type", "name"))


@api.op("GET", "/services/{service_id}", policy=GET, reply="service", errors=(404,))
def show(tx: Tx, request: Request, service_id: str) -> dict:
    """Show a service."""
    return view(request, find_service(tx, service_id))


@api.op("PATCH", "/services/{service_id}", policy=UPDATE, wrap="service", errors=(404,))
def update(tx: Tx, request: Request, service_id: str, body: dict[str, t.Any]) -> dict:
    """Change a service."""
    row = find_service(tx, service_id)
    something(body, "service")
    same_id(body, service_id)
    fields, extra = taken(body, ServiceUpdate, "service")
    tx.update(services, row.id, **given(fields), extra=row.extra | extra)
    epoch.bump(tx, epoch.CATALOG)
    return show(tx, request, service_id)


@api.op("DELETE", "/services/{service_id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, service_id: str) -> None:
    """Delete a service with its endpoints, where no limit is registered for it."""
    find_service(tx, service_id)
    try:
        with tx.savepoint():
            tx.delete(services, id=service_id)
    except Conflict:
        raise Forbidden(f"Unable to delete service {service_id} because it has registered limits.") from None
    epoch.bump(tx, epoch.CATALOG)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_service(tx: Tx, id: str) -> Row:
    return find(tx, services, id, "service")


def view(request: Request, row: Row) -> dict:
    told = {} if row.description is None else {"description": row.description}
    return shown(request, "services", row, "type", "enabled", name=row.name or "") | told
