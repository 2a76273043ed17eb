"""Registered limits: how much of a service's resource, in a region or in all, a project may have that has no limit of
its own. Other services ask for them; nothing here counts what is in use.

The table of limits is here too, for a registered limit that one goes by stays as it is.
"""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Once, Row, Tx, table
from ..kernel.errors import Conflict, Forbidden, NotFound
from ..kernel.http import Body, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, SCOPES, api
from .attributes import Id, Name, expecting, given
from .entities import shown
from .listing import listed
from .regions import RegionId, regions
from .services import services

# -- tables --------------------------------------------------------------------------------------------------------

SECOND = "Conflict occurred attempting to store registered_limit - Duplicate entry."
registered_limits = table(
    "identity_registered_limits",
    sa.Column("service_id", sa.String(64), sa.ForeignKey("identity_services.id"), nullable=False),
    sa.Column("region_id", sa.String(255), sa.ForeignKey("identity_regions.id")),
    sa.Column("resource_name", sa.String(255), nullable=False),
    sa.Column("default_limit", sa.Integer, nullable=False),
    sa.Column("description", sa.Text),
    once=(
        Once(("service_id", "resource_name", "region_id"), SECOND),
        Once(("service_id", "resource_name"), SECOND, {"region_id": None}),
    ),
)

TWICE = "Conflict occurred attempting to store limit - Duplicate entry."
limits = table(
    "identity_limits",
    sa.Column("registered_limit_id", sa.String(64), sa.ForeignKey("identity_registered_limits.id"), nullable=False),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("resource_limit", sa.Integer, nullable=False),
    sa.Column("description", sa.Text),
    unique={("registered_limit_id", "project_id"): TWICE, ("registered_limit_id", "domain_id"): TWICE},
)
"""Each is a project's or a domain's."""

# -- wire ----------------------------------------------------------------------------------------------------------

Amount = t.Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
"""-1 is no limit."""
Remark = t.Annotated[str, msgspec.Meta(max_length=255)]


class RegisteredLimitCreate(Body):
    service_id: Id
    resource_name: Name
    default_limit: Amount
    region_id: RegionId | None = None
    description: Remark | None = None


class RegisteredLimitUpdate(Body):
    service_id: Id | UnsetType = UNSET
    region_id: RegionId | None | UnsetType = UNSET
    resource_name: Name | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    description: Remark | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_registered_limit", "", "Show a registered limit.", scopes=SCOPES)
LIST = api.rule("identity:list_registered_limits", "", "List registered limits.", scopes=SCOPES)
CREATE = api.rule("identity:create_registered_limits", ADMIN, "Create registered limits.")
UPDATE = api.rule("identity:update_registered_limit", ADMIN, "Update a registered limit.")
DELETE = api.rule("identity:delete_registered_limit", ADMIN, "Delete a registered limit.")

# -- operations ----------------------------------------------------------------------------------------------------

ONE = "/registered_limits/{registered_limit_id}"


@api.op("POST", "/registered_limits", policy=CREATE, wrap="registered_limits", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: t.Annotated[list[RegisteredLimitCreate], msgspec.Meta(min_length=1)]) -> list[dict]:
    """Create registered limits: all, or where one is refused, none."""
    return [_view(request, _insert(tx, fields)) for fields in body]


@api.op("GET", "/registered_limits", policy=LIST, reply="registered_limits")
def index(tx: Tx, request: Request) -> Page:
    """List registered limits."""
    return listed(tx, request, registered_limits, lambda row: _view(request, row), FILTERS)


@api.op("GET", ONE, policy=GET, reply="registered_limit", errors=(404,))
def show(tx: Tx, request: Request, registered_limit_id: str) -> dict:
    """Show a registered limit."""
    return _view(request, _find(tx, registered_limit_id))


@api.op("PATCH", ONE, policy=UPDATE, wrap="registered_limit", errors=(404, 409))
def update(tx: Tx, request: Request, registered_limit_id: str, body: RegisteredLimitUpdate) -> dict:
    """Change a registered limit that no limit goes by."""
    row = _find(tx, registered_limit_id)
    _refuse_used(tx, row)
    values = given(body)
    check_references(tx, values.get("service_id"), values.get("region_id"), "registered_limit")
    says = {name: values.get(name, getattr(row, name)) for name in FILTERS}
    _refuse_second(tx, **says, but=row.id)
    tx.update(registered_limits, row.id, **values)
    return show(tx, request, registered_limit_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, registered_limit_id: str) -> None:
    """Delete a registered limit that no limit goes by."""
    row = _find(tx, registered_limit_id)
    _refuse_used(tx, row)
    tx.delete(registered_limits, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------

FILTERS = ("service_id", "region_id", "resource_name")
"""What a list may be filtered by: together, what a registered limit is of."""


def registered(tx: Tx, service_id: str, region_id: str | None, resource_name: str) -> Row | None:
    """The registered limit of a resource."""
    return tx.get(registered_limits, service_id=service_id, region_id=region_id, resource_name=resource_name)


def check_references(tx: Tx, service_id: str | None, region_id: str | None, kind: str) -> None:
    """Raise BadRequest where a limit names a service or a region that is not there."""
    if service_id is not None and tx.get(services, id=service_id) is None:
        raise expecting("service_id", kind)
    if region_id is not None and tx.get(regions, id=region_id) is None:
        raise expecting("region_id", kind)


def _find(tx: Tx, id: str) -> Row:
    row = tx.get(registered_limits, id=id)
    if row is None:
        raise NotFound(f"Could not find registered limit for {id}.")
    return row


def _insert(tx: Tx, fields: RegisteredLimitCreate) -> Row:
    check_references(tx, fields.service_id, fields.region_id, "registered_limit")
    _refuse_second(tx, fields.service_id, fields.region_id, fields.resource_name)
    return tx.insert(registered_limits, id=ids.new_hex(), **given(fields))


def _refuse_second(tx: Tx, service_id: str, region_id: str | None, resource_name: str, but: str | None = None) -> None:
    found = registered(tx, service_id, region_id, resource_name)
    if found is not None and found.id != but:
        raise Conflict(SECOND)


def _refuse_used(tx: Tx, row: Row) -> None:
    if tx.scalar(sa.select(limits.c.id).where(limits.c.registered_limit_id == row.id).limit(1)):
        raise Forbidden(f"Unable to update or delete registered limit {row.id} because there are project limits associated with it.")


def _view(request: Request, row: Row) -> dict:
    return shown(request, "registered_limits", row, *FILTERS, "default_limit", "description")
