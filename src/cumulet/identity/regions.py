"""Regions: where endpoints are, as a tree."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, Conflict, Forbidden
from ..kernel.http import OpenBody, Page, Reply, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, SCOPES, api
from .attributes import Text, given, same_id, something, taken
from .entities import find, shown
from .listing import listed

# -- table ---------------------------------------------------------------------------------------------------------

regions = table(
    "identity_regions",
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("parent_region_id", sa.String(255), sa.ForeignKey("identity_regions.id", ondelete="CASCADE")),
    sa.Column("extra", sa.JSON, nullable=False),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------

RegionId = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class RegionCreate(OpenBody):
    id: t.Annotated[str, msgspec.Meta(max_length=255)] | None = None
    description: Text | None = None
    parent_region_id: RegionId | None = None


class RegionUpdate(OpenBody):
    description: Text | None | UnsetType = UNSET
    parent_region_id: RegionId | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_region", "", "Show a region.", scopes=SCOPES)
LIST = api.rule("identity:list_regions", "", "List regions.", scopes=SCOPES)
CREATE = api.rule("identity:create_region", ADMIN, "Create a region.")
UPDATE = api.rule("identity:update_region", ADMIN, "Update a region.")
DELETE = api.rule("identity:delete_region", ADMIN, "Delete a region.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/regions", policy=CREATE, wrap="region", status=201, errors=(404, 409))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a region, with an id of the client's choice or a random one."""
    fields, extra = taken(body, RegionCreate, "region")
    return view(request, add(tx, fields.id or ids.new_hex(), fields, extra))


@api.op("PUT", "/regions/{region_id}", policy=CREATE, wrap="region", status=201, errors=(404, 409))
def put(tx: Tx, request: Request, region_id: str, body: dict[str, t.Any]) -> Reply:
    """Create a region with this id."""
    fields, extra = taken(body, RegionCreate, "region")
    if fields.id is not None and fields.id != region_id:
        raise BadRequest(f'Conflicting region IDs specified: "{region_id}" != "{fields.id}"')
    return Reply(view(request, add(tx, region_id, fields, extra)))


@api.op("GET", "/regions", policy=LIST, reply="regions")
def index(tx: Tx, request: Request) -> Page:
    """List regions."""
    return listed(tx, request, regions, lambda row: view(request, row), ("parent_region_id",))


@api.op("GET", "/regions/{region_id}", policy=GET, reply="region", errors=(404,))
def show(tx: Tx, request: Request, region_id: str) -> dict:
    """Show a region."""
    return view(request, find_region(tx, region_id))


@api.op("PATCH", "/regions/{region_id}", policy=UPDATE, wrap="region", errors=(404,))
def update(tx: Tx, request: Request, region_id: str, body: dict[str, t.Any]) -> dict:
    """Change a region."""
    row = find_region(tx, region_id)
    something(body, "region")
    same_id(body, region_id)
    fields, extra = taken(body, RegionUpdate, "region")
    values = given(fields)
    if "description" in values:
        values["description"] = values["description"] or ""
    if values.get("parent_region_id"):
        _check_parent(tx, region_id, values["parent_region_id"])
    tx.update(regions, region_id, **values, extra=row.extra | extra)
    return show(tx, request, region_id)


@api.op("DELETE", "/regions/{region_id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, region_id: str) -> None:
    """Delete a region and those below it, where none has an endpoint or a registered limit."""
    find_region(tx, region_id)
    try:
        with tx.savepoint():
            tx.delete(regions, id=region_id)
    except Conflict:
        raise Forbidden(f"Unable to delete region {region_id} because it or its child regions have associated endpoints.") from None


# -- helpers -------------------------------------------------------------------------------------------------------


def find_region(tx: Tx, id: str) -> Row:
    return find(tx, regions, id, "region")


def add(tx: Tx, id: str, fields: RegionCreate, extra: dict) -> Row:
    if fields.parent_region_id:
        find_region(tx, fields.parent_region_id)
    if tx.get(regions, id=id) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {id}..")
    return tx.insert(regions, id=id, description=fields.description or "", parent_region_id=fields.parent_region_id, extra=extra)


def view(request: Request, row: Row) -> dict:
    return shown(request, "regions", row, "description", "parent_region_id")


def _check_parent(tx: Tx, id: str, parent_id: str) -> None:
    above: str | None = parent_id
    while above is not None:
        if above == id:
            raise BadRequest(f"The specified parent region {id} would create a circular region hierarchy.")
        above = find_region(tx, above).parent_region_id
