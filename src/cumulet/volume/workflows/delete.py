"""Removing a volume's data and that of its snapshots, and the volume."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, step, supersede
from ..tables import backups, snapshots, transfers, volumes
from .remove import remove


class DeleteVolume(Saga):
    deadline = dt.timedelta(minutes=10)

    @classmethod
    def begin(cls, tx: Tx, row: Row, request_id: str | None = None) -> None:
        """Stop what is being done to a volume and its snapshots, and delete them."""
        for snapshot in tx.rows(snapshots, volume_id=row.id):
            supersede(tx, snapshot.id)
            tx.update(snapshots, snapshot.id, status="deleting")
        supersede(tx, row.id)
        tx.update(volumes, row.id, status="deleting")
        tx.update(backups, {"restored_to": row.id, "status": "restoring"}, status="available", restored_to=None)
        tx.delete(transfers, volume_id=row.id)
        cls.start(tx, row.id, request_id=request_id)

    @step
    async def snapshots(self) -> None:
        row, taken = await self.runtime.db.read(lambda tx: (tx.get(volumes, id=self.subject), tx.rows(snapshots, volume_id=self.subject)))
        if row is not None and row.host is not None:
            for snapshot in taken:
                await remove(self, row.host, "volume.delete_snapshot", snapshot.id)

    @step
    async def data(self) -> None:
        row = await self.runtime.db.read(lambda tx: tx.get(volumes, id=self.subject))
        if row is not None and row.host is not None:
            await remove(self, row.host, "volume.delete", row.id)

    def succeeded(self, tx: Tx) -> None:
        tx.delete(snapshots, volume_id=self.subject)
        tx.delete(volumes, id=self.subject)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(volumes, self.subject, status="error_deleting", fault=why)
