"""Keeping the stores and the records together: data that no image has is removed, uploads whose process died start over, and
files go that hosts wrote for images that do not wait for them."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.log import get_logger
from ..kernel.work import Reconciler
from .data import give_up, snapshots
from .images import images
from .locations import BEAT, locations
from .stores.base import StoreError
from .stores.registry import Stores, stores

log = get_logger("image")
LATE = dt.timedelta(days=7)
"""How long an upload that was taken for dead may yet come back and put its data where nobody looks for it."""


class ImageData(Reconciler):
    """Data is kept as long as a location of an image names it."""

    name = "image-data"
    interval = 60.0
    nudged_by = ("images",)

    async def run_once(self) -> None:
        await self.runtime.db.write(_start_over)
        there = stores(self.runtime)
        for row in await self.runtime.db.read(_unwanted):
            if await self._removed(there, row.store, row.key):
                await self.runtime.db.write(lambda tx, row=row: _note_removed(tx, row))
        for id, store in there:
            for key in await self._unknown(id, await store.list()):
                await self._removed(there, id, key)
            await store.sweep()
        await self._sweep_snapshots()

    async def _unknown(self, id: str, kept: list[str]) -> set[str]:
        """Asked for after the store's own list: a key has its row before it has data."""
        rows = await self.runtime.db.read(lambda tx: tx.among(locations.c.key, kept))
        return set(kept) - {row.key for row in rows if row.store == id}

    async def _removed(self, there: Stores, id: str, key: str) -> bool:
        try:
            await there[id].delete(key)
            return True
        except StoreError as error:
            log.warning("image data could not be removed; it is tried again", store=id, key=key, why=str(error))
            return False

    async def _sweep_snapshots(self) -> None:
        written = list(snapshots(self.runtime).glob("*"))
        statuses = await self.runtime.db.read(_statuses)
        for path in written:
            if statuses.get(path.name.partition(".")[0], "active") == "active":
                path.unlink(missing_ok=True)


def _statuses(tx: Tx) -> dict[str, str]:
    return {row.id: row.status for row in tx.all(sa.select(images.c.id, images.c.status).where(images.c.status != "active"))}


def _unwanted(tx: Tx) -> list[Row]:
    late = sa.and_(locations.c.status == "removed", locations.c.updated_at < clock.now() - LATE)
    return tx.all(sa.select(locations).where(locations.c.image_id.is_(None), sa.or_(locations.c.status != "removed", late)))


def _note_removed(tx: Tx, row: Row) -> None:
    if row.status == "pending":
        tx.update(locations, {"id": row.id, "status": "pending"}, status="removed")
    else:
        tx.delete(locations, id=row.id)


def _start_over(tx: Tx) -> None:
    """An upload that gave no sign of life for a while has died with its process."""
    dead = clock.now() - dt.timedelta(seconds=6 * BEAT)
    for row in tx.all(_UPLOADS, {"dead": dead}):
        give_up(tx, row)


_UPLOADS = (
    sa.select(locations)
    .join(images)
    .where(images.c.status.in_(("saving", "uploading")), locations.c.status == "pending", locations.c.updated_at < sa.bindparam("dead"))
)
