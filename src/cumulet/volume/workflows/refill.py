"""Putting other data on a volume: a snapshot's, an image's or a backup's."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..tables import backups, snapshots, volumes
from .rows import settle, volume_row
from .sources import from_backup, from_image


class RevertVolume(Saga):
    """To a snapshot's data: `snapshot_id`."""

    deadline = dt.timedelta(hours=2)

    @step
    async def revert(self) -> None:
        row = await volume_row(self, self.subject)
        await self.call(row.host, "volume.revert", timeout=3600, volume_id=row.id, snapshot_id=self.state["snapshot_id"])

    def succeeded(self, tx: Tx) -> None:
        tx.update(volumes, self.subject, status="available", fault=None)
        self._snapshot_is_free(tx)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(volumes, self.subject, status="error", fault=why)
        self._snapshot_is_free(tx)

    def _snapshot_is_free(self, tx: Tx) -> None:
        tx.update(snapshots, {"id": self.state["snapshot_id"], "status": "restoring"}, status="available")


class RefillVolume(Saga):
    """With what an image (`image_id`) or a backup (`backup_file`) holds."""

    deadline = dt.timedelta(hours=2)

    @step
    async def refill(self) -> None:
        row = await volume_row(self, self.subject)
        if "backup_file" in self.state:
            source = from_backup(self.runtime, self.state["backup_file"])
        else:
            source = await from_image(self.runtime, row.host, self.state["image_id"])
        await self.call(row.host, "volume.delete", id=row.id)
        await self.call(row.host, "volume.create", timeout=3600, id=row.id, size_gib=row.size, source=source)

    def succeeded(self, tx: Tx) -> None:
        tx.update(volumes, self.subject, fault=None)
        settle(tx, self.subject, "downloading", "restoring-backup")
        self._backup_is_free(tx)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(volumes, self.subject, status="error_restoring" if "backup_file" in self.state else "error", fault=why)
        self._backup_is_free(tx)

    def _backup_is_free(self, tx: Tx) -> None:
        tx.update(backups, {"restored_to": self.subject, "status": "restoring"}, status="available", restored_to=None)
