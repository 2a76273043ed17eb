"""What those who may know it are told of where images' data is."""

from __future__ import annotations

import typing as t

from ..kernel.db import Row, Tx
from ..kernel.http import Request
from . import locations, policy
from .stores.registry import Stores, stores


def whereabouts(tx: Tx, request: Request, rows: t.Sequence[Row]) -> dict[str, dict[str, t.Any]]:
    """By image, the attributes `stores`, and, where the settings say so, `locations` and `direct_url`."""
    there, config = stores(request.runtime), request.runtime.config
    may = {row.id for row in rows if request.allows(policy.GET_LOCATION, policy.facts(request, row))}
    found = locations.of_many(tx, may)
    refused = locations.refused_of_many(tx, {row.id for row in rows if row.status == "queued"} & may)
    told: dict[str, dict[str, t.Any]] = {}
    for row in rows:
        places = found.get(row.id, [])
        names = [place.store for place in places] or refused.get(row.id)
        told[row.id] = {"stores": ",".join(names)} if names else {}
        if config.show_multiple_locations:
            told[row.id]["locations"] = [shown(there, place) for place in places]
        if config.show_image_direct_url and places:
            told[row.id]["direct_url"] = there.url(there.sorted(places)[0])
    return told


def shown(there: Stores, place: Row) -> dict[str, t.Any]:
    """A location as the API has it."""
    return {"url": there.url(place), "metadata": {**place.metadata, "store": place.store}}
