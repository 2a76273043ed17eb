"""Taking in data that a host keeps: it is copied under its new id, and the old one is removed."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step
from ..tables import snapshots, unmanaged, volumes
from .rows import volume_row


class ManageVolume(Saga):
    """`reference` is what the host calls it."""

    deadline = dt.timedelta(hours=2)

    @step
    async def copy(self) -> None:
        row = await volume_row(self, self.subject)
        source = {"volume_id": self.state["reference"]}
        await self.call(row.host, "volume.create", timeout=3600, id=row.id, size_gib=row.size, source=source)

    @copy.undo
    async def undo_copy(self) -> None:
        row = await volume_row(self, self.subject)
        await self.call(row.host, "volume.delete", id=row.id)

    def succeeded(self, tx: Tx) -> None:
        """What is copied, a reconciler removes: nothing knows it any more."""
        tx.delete(unmanaged, id=self.state["reference"])
        tx.update(volumes, self.subject, status="available", fault=None)
        tx.nudge("volumes")

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(volumes, self.subject, status="error_managing", fault=why)

    def stuck(self, tx: Tx, why: str) -> None:
        self.failed(tx, why)


class ManageSnapshot(Saga):
    """`reference` is what the host calls it. A volume is made of it for a while: hosts take snapshots of volumes only."""

    deadline = dt.timedelta(hours=2)

    @step
    async def copy(self) -> None:
        row, host = await self.runtime.db.read(self._rows)
        source = {"snapshot_id": self.state["reference"]}
        await self.call(host, "volume.create", timeout=3600, id=row.id, size_gib=row.size, source=source)
        await self.call(host, "volume.snapshot", timeout=3600, id=row.id, volume_id=row.id)
        await self.call(host, "volume.delete", id=row.id)

    @copy.undo
    async def undo_copy(self) -> None:
        row, host = await self.runtime.db.read(self._rows)
        await self.call(host, "volume.delete", id=row.id)
        await self.call(host, "volume.delete_snapshot", id=row.id)

    def succeeded(self, tx: Tx) -> None:
        """What is copied, a reconciler removes: nothing knows it any more."""
        tx.delete(unmanaged, id=self.state["reference"])
        tx.update(snapshots, self.subject, status="available", progress="100%", fault=None)
        tx.nudge("volumes")

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(snapshots, self.subject, status="error", fault=why)

    def stuck(self, tx: Tx, why: str) -> None:
        self.failed(tx, why)

    def _rows(self, tx: Tx) -> tuple[Row, str]:
        """The snapshot, and the host of its volume."""
        row = tx.get(snapshots, id=self.subject)
        volume = tx.get(volumes, id=row.volume_id) if row else None
        if row is None or volume is None:
            raise StepFailed(f"snapshot {self.subject} is gone")
        return row, volume.host
