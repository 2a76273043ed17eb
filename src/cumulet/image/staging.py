"""The staging area: where an image's data waits until its import is asked for."""

from __future__ import annotations

import asyncio

from ..kernel.db import Row, Tx
from ..kernel.http import Conflict, NotFound, Request
from . import api, data, locations, policy, quota
from .announced import announced, as_announced
from .images import images, visible
from .stores.registry import STAGING, stores


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("PUT", "/images/{id}/stage", policy=policy.MODIFY, target=_target, status=204, errors=(400, 404, 409, 410, 413, 503), raw=True,
        media=("application/octet-stream",))  # fmt: skip
async def stage(request: Request, id: str) -> None:
    """Bring an image's data to where it waits for its import.

    A client that goes away leaves the image queued, as if it had not begun."""
    if "glance-direct" not in request.runtime.config.image_import.methods:
        raise NotFound("'glance-direct' method is not available at this site.")
    db, staging, size = request.runtime.db, stores(request.runtime)[STAGING], announced(request)
    place = await db.write(lambda tx: _begin(tx, request, id, size))
    try:
        async with locations.beating(request.runtime, place, data.gone(id)):
            kept = await staging.put(place.key, as_announced(data.limited(request), size))
    except BaseException as error:
        await asyncio.shield(db.write(lambda tx: data.ended(tx, place)))
        raise data.told(error) from None
    if not await db.write(lambda tx: _finish(tx, place, kept.size)):
        raise data.gone(id)


def staged(tx: Tx, image_id: str) -> Row | None:
    """Where an image's data waits, whole; None where there is none."""
    rows = tx.rows(locations.locations, image_id=image_id, store=STAGING, status="active")
    return rows[0] if rows else None


def _begin(tx: Tx, request: Request, id: str, size: int | None) -> Row:
    row, config = visible(tx, request, id), request.runtime.config
    quota.enforce(tx, config, row.owner, image_stage_total=(size or 0) // quota.MIB)
    if tx.update(images, {"id": id, "status": "queued"}, status="uploading", announced=size) != 1:
        raise Conflict(f"Image status transition from {row.status} to uploading is not allowed")
    quota.enforce(tx, config, row.owner, image_count_uploading=0)
    return locations.begin(tx, id, STAGING)


def _finish(tx: Tx, place: Row, size: int) -> bool:
    """Whether the image still waits for this data."""
    if not locations.finish(tx, place.id):
        return False
    tx.update(images, place.image_id, size=size)
    return True
