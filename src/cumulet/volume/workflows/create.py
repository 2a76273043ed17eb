"""Making a volume's data on its host."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, step
from ..messages import told
from ..tables import backups, volumes
from .rows import settle, volume_row
from .sources import source_of


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
