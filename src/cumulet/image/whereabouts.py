"""What those who may know it are told of where images' data is."""

from __future__ import annotations

import functools
import typing as t

from ..kernel.db import Row, Tx
from ..kernel.http import Request
from . import locations, policy
from .stores.registry import Stores, stores


def whereabouts(tx: Tx, request: Request, told: list[dict[str, t.Any]]) -> None:
    """Add to images, as they are shown, what `whereabouts_of` does."""
    may = functools.cache(lambda owner, visibility: request.allows(policy.GET_LOCATION, policy.facts(request, owner, visibility)))
    found = locations.told_of_many(tx, [one["id"] for one in told if may(one["owner"], one["visibility"])])
    for one in told:
        whereabouts_of(request, one, found.get(one["id"], ()))


def whereabouts_of(request: Request, told: dict[str, t.Any], places: t.Sequence[Row] = ()) -> None:
    """Add to an image the attributes `stores`, and, where the settings say so, `locations` and `direct_url`."""
    there, config = stores(request.runtime), request.runtime.config
    kept = [place for place in places if place.status == "active"]
    if names := [place.store for place in (kept or places if told["status"] == "queued" else kept)]:
        told["stores"] = ",".join(names)
    if config.show_multiple_locations:
        told["locations"] = [shown(there, place) for place in kept]
    if config.show_image_direct_url and kept:
        told["direct_url"] = there.url(there.sorted(kept)[0])


def shown(there: Stores, place: Row) -> dict[str, t.Any]:
    """A location as the API has it."""
    return {"url": there.url(place), "metadata": {**place.metadata, "store": place.store}}
