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
        kept, written = await files.list(), list(snapshots(self.runtime).glob("*"))
        statuses = await self.runtime.db.read(_statuses)
        for id in kept:
            if id not in statuses:
                await files.delete(id)
        await files.sweep()
        for path in written:
            if statuses.get(path.name.partition(".")[0], "active") == "active":
                path.unlink(missing_ok=True)


def _statuses(tx: Tx) -> dict[str, str]:
    """By image. Asked for after the files are listed: an image has its record before it has a file."""
    return {row.id: row.status for row in tx.all(sa.select(images.c.id, images.c.status))}


def _start_over(tx: Tx) -> None:
    """An upload that gave no sign of life for a while has died with its process."""
    dead = clock.now() - dt.timedelta(seconds=6 * BEAT)
    tx.execute(sa.update(images).where(images.c.status == "saving", images.c.upload_seen < dead).values(status="queued", upload_seen=None))
