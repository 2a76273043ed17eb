"""Making a volume's data on its host."""

from __future__ import annotations

import datetime as dt
import typing as t

from ... import image as images
from ...kernel.db import Row, Tx
from ...kernel.runtime import Runtime
from ...kernel.work import Saga, step
from ..backup_files import backup_path
from ..messages import told
from ..tables import backups, volumes
from .rows import settle, volume_row


class CreateVolume(Saga):
    """The row says what to start from; `backup_file`, where it is given, says it instead."""

    deadline = dt.timedelta(hours=2)

    @step
    async def allocate(self) -> None:
        row = await self.write(self._begin)
        source = await source_of(self.runtime, row, self.state.get("backup_file"))
        await self.call(row.host, "volume.create", timeout=3600, id=row.id, size_gib=row.size, source=source)

    @allocate.undo
    async def undo_allocate(self) -> None:
        row = await volume_row(self, self.subject)
        await self.call(row.host, "volume.delete", id=row.id)

    def succeeded(self, tx: Tx) -> None:
        tx.update(volumes, self.subject, fault=None)
        settle(tx, self.subject, "creating", "downloading")
        self._backup_is_free(tx)
        tx.nudge("work")

    def failed(self, tx: Tx, why: str) -> None:
        told(tx, tx.get(volumes, id=self.subject), "create", why, self.request_id)
        tx.update(volumes, self.subject, status="error", fault=why)
        self._backup_is_free(tx)

    def stuck(self, tx: Tx, why: str) -> None:
        tx.update(volumes, self.subject, status="error", fault=why)

    def _begin(self, tx: Tx) -> Row:
        row = tx.one(volumes, id=self.subject)
        if row.image_id:
            tx.update(volumes, {"id": row.id, "status": "creating"}, status="downloading")
        return row

    def _backup_is_free(self, tx: Tx) -> None:
        tx.update(backups, {"restored_to": self.subject, "status": "restoring"}, status="available", restored_to=None)


async def source_of(runtime: Runtime, row: Row, backup_file: str | None) -> dict[str, t.Any]:
    """What a volume starts from, as the driver takes it."""
    if backup_file:
        return {"image_path": str(backup_path(runtime, backup_file)), "image_format": "raw"}
    source = {"snapshot_id": row.snapshot_id, "volume_id": row.source_volid}
    if row.image_id:
        found = await runtime.db.read(lambda tx: images.stored(tx, runtime, row.image_id))
        source = {"image_path": str(found.path), "image_format": found.format}
    return {name: value for name, value in source.items() if value is not None}
