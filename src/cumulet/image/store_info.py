"""The stores that there are, which of them have an image, and removing one copy of it."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, Conflict, Forbidden, NotFound, Request, UnsetType, View
from . import api, locations, policy
from .images import visible
from .stores.registry import stores
from .whereabouts import shown


class StoreInfo(View):
    id: str
    description: str | UnsetType = UNSET
    default: t.Literal["true"] | UnsetType = UNSET
    read_only: t.Literal["true"] | UnsetType = msgspec.field(name="read-only", default=UNSET)
    type: str | UnsetType = UNSET
    properties: dict[str, t.Any] | UnsetType = UNSET
    weight: int | UnsetType = UNSET


class Location(View):
    url: str
    metadata: dict[str, t.Any]


class StoreInfos(View):
    stores: list[StoreInfo]


@api.op("GET", "/info/stores", policy=policy.ANYONE)
async def index(request: Request) -> StoreInfos:
    """List the stores that images can be in."""
    return StoreInfos(stores=[_info(request, id) for id in stores(request.runtime).tables])


@api.op("GET", "/info/stores/detail", policy=policy.STORES_DETAIL)
async def detail(request: Request) -> StoreInfos:
    """List the stores, and how they are set."""
    there = stores(request.runtime)
    return StoreInfos(stores=[
        msgspec.structs.replace(
            _info(request, id), type=table.__struct_config__.tag, properties=dict(there[id].properties), weight=table.weight
        )
        for id, table in there.tables.items()
    ])  # fmt: skip


def _target(tx: Tx, request: Request, store_id: str, image_id: str) -> dict:
    return policy.against(request, _find(tx, request, store_id, image_id))


@api.op("DELETE", "/stores/{store_id}/{image_id}", policy=policy.DELETE_LOCATION, target=_target, status=204, errors=(403, 404, 409))
def delete(tx: Tx, request: Request, store_id: str, image_id: str) -> None:
    """Remove an image's data from one of the stores that have it."""
    row, places = _find(tx, request, store_id, image_id), locations.of(tx, image_id)
    if row.status != "active":
        raise Conflict("It's not allowed to remove image data from store if image status is not 'active'")
    if len(places) == 1:
        raise Forbidden("Cannot delete image data from the only store containing it. Consider deleting the image instead.")
    place = next((place for place in places if place.store == store_id), None)
    if place is None:
        raise NotFound(f"Image {image_id} is not stored in store {store_id}.")
    locations.forget(tx, place.id)


@api.op("GET", "/images/{id}/locations", policy=policy.FETCH_LOCATION, errors=(403, 404),
        target=lambda tx, request, id: policy.against(request, visible(tx, request, id)))  # fmt: skip
def places(tx: Tx, request: Request, id: str) -> list[Location]:
    """List where an image's data is, for services."""
    there = stores(request.runtime)
    return [Location(**shown(there, place)) for place in locations.of(tx, visible(tx, request, id).id)]


def _find(tx: Tx, request: Request, store_id: str, image_id: str) -> Row:
    if store_id not in stores(request.runtime).tables:
        raise Conflict(f"The selected store {store_id} is not available on this node.")
    try:
        return visible(tx, request, image_id)
    except NotFound:
        raise NotFound(f"Failed to find image {image_id}") from None


def _info(request: Request, id: str) -> StoreInfo:
    there = stores(request.runtime)
    return StoreInfo(
        id=id, description=there.tables[id].description or UNSET, default="true" if id == there.default else UNSET,
        read_only="true" if there[id].read_only else UNSET,
    )  # fmt: skip
