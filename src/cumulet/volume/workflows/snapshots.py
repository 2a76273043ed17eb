"""Taking and removing a snapshot's data, on its volume's host."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step, supersede
from ..messages import told
from ..tables import snapshots, volumes
from .remove import remove


class CreateSnapshot(Saga):
    deadline = dt.timedelta(hours=2)

    @step
    async def take(self) -> None:
        row, volume = await self.runtime.db.read(lambda tx: rows(tx, self.subject))
        if row is None or volume is None or volume.host is None:
            raise StepFailed(f"the volume of snapshot {self.subject} is gone, or on no host")
        await self.call(volume.host, "volume.snapshot", timeout=3600, id=row.id, volume_id=volume.id)

    @take.undo
    async def undo_take(self) -> None:
        _, volume = await self.runtime.db.read(lambda tx: rows(tx, self.subject))
        if volume is not None and volume.host is not None:
            await self.call(volume.host, "volume.delete_snapshot", id=self.subject)

    def succeeded(self, tx: Tx) -> None:
        tx.update(snapshots, {"id": self.subject, "status": "creating"}, status="available", progress="100%", fault=None)

    def failed(self, tx: Tx, why: str) -> None:
        told(tx, tx.get(snapshots, id=self.subject), "snapshot", why, self.request_id, "VOLUME_SNAPSHOT")
        self.stuck(tx, why)

    def stuck(self, tx: Tx, why: str) -> None:
        tx.update(snapshots, self.subject, status="error", fault=why)


class DeleteSnapshot(Saga):
    deadline = dt.timedelta(minutes=10)

    @classmethod
    def begin(cls, tx: Tx, row: Row, request_id: str | None = None) -> None:
        """Stop what is being done to a snapshot, and delete it."""
        supersede(tx, row.id)
        tx.update(snapshots, row.id, status="deleting")
        cls.start(tx, row.id, request_id=request_id)

    @step
    async def remove(self) -> None:
        row, volume = await self.runtime.db.read(lambda tx: rows(tx, self.subject))
        if row is not None and volume is not None and volume.host is not None:
            await remove(self, volume.host, "volume.delete_snapshot", row.id)

    def succeeded(self, tx: Tx) -> None:
        tx.delete(snapshots, id=self.subject)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(snapshots, self.subject, status="error_deleting", fault=why)


def rows(tx: Tx, id: str) -> tuple[Row | None, Row | None]:
    """A snapshot and its volume."""
    row = tx.get(snapshots, id=id)
    return row, row and tx.get(volumes, id=row.volume_id)
