"""Keeping the store and the records together: data without a record goes, uploads whose process died start over, and so do
files that hosts wrote for images that do not wait for them."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Tx
from ..kernel.work import Reconciler
from .data import BEAT, snapshots, store
from .images import images


class ImageData(Reconciler):
    """A file is kept as long as its image has a record."""

    name = "image-data"
    interval = 60.0
    nudged_by = ("images",)

    async def run_once(self) -> None:
        await self.runtime.db.write(_start_over)
        files = store(self.runtime)
        for id in await files.list():
            if await self.runtime.db.read(lambda tx, id=id: tx.get(images, id=id)) is None:
                await files.delete(id)
        await files.sweep()
        for path in snapshots(self.runtime).glob("*"):
            row = await self.runtime.db.read(lambda tx, id=path.name.partition(".")[0]: tx.get(images, id=id))
            if row is None or row.status == "active":
                path.unlink(missing_ok=True)


def _start_over(tx: Tx) -> None:
    """An upload that gave no sign of life for a while has died with its process."""
    dead = clock.now() - dt.timedelta(seconds=6 * BEAT)
    tx.execute(sa.update(images).where(images.c.status == "saving", images.c.upload_seen < dead).values(status="queued", upload_seen=None))
