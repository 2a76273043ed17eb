"""Keeping the stores and the records together: data that no image has is removed, uploads whose process died start over, and
files go that hosts wrote for images that do not wait for them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from ..kernel.work import Reconciler
from .data import give_up, snapshots
from .images import images
from .locations import BEAT, locations
from .stores.base import Store, StoreAway, StoreError, StoreInUse
from .stores.registry import stores

log = get_logger("image")
LATE = dt.timedelta(days=7)
"""How long an upload that was taken for dead may yet come back and put its data where nobody looks for it."""


class ImageData(Reconciler):
    """Data is kept as long as a location of an image names it."""

    name = "image-data"
    interval = 60.0
    nudged_by = ("images",)

    def __init__(self, runtime: Runtime):
        super().__init__(runtime)
        self._awaited: set[str] = set()
        """Keys of which it was told that something stands on their data."""

    async def run_once(self) -> None:
        await self.runtime.db.write(_start_over)
        unwanted = defaultdict(list)
        for row in await self.runtime.db.read(_unwanted):
            unwanted[row.store].append(row)
        async with asyncio.TaskGroup() as looking:
            for id, store in stores(self.runtime):
                looking.create_task(self._look_after(id, store, unwanted[id]))
        await self._sweep_snapshots()

    async def _look_after(self, id: str, store: Store, unwanted: list[Row]) -> None:
        """One that is away is asked once in a round, and holds up none of the others."""
        try:
            for row in unwanted:
                if await self._removed(id, store, row.key):
                    await self.runtime.db.write(lambda tx, row=row: _note_removed(tx, row))
            for key in await self._unknown(id, await store.list()):
                await self._removed(id, store, key)
            await store.sweep()
        except StoreAway as error:
            log.warning("an image store is away; what is to be removed from it waits", store=id, why=str(error))

    async def _unknown(self, id: str, kept: list[str]) -> set[str]:
        """Asked for after the store's own list: a key has its row before it has data."""
        rows = await self.runtime.db.read(lambda tx: tx.among(locations.c.key, kept))
        return set(kept) - {row.key for row in rows if row.store == id}

    async def _removed(self, id: str, store: Store, key: str) -> bool:
        """Raises StoreAway."""
        try:
            await store.delete(key)
            self._awaited.discard(key)
            return True
        except StoreAway:
            raise
        except StoreInUse as error:
            if key not in self._awaited:
                log.info("image data stays as long as something stands on it", store=id, key=key, why=str(error))
                self._awaited.add(key)
            return False
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
    if row.status in ("pending", "late"):
        tx.update(locations, {"id": row.id, "status": row.status}, status="removed")
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
