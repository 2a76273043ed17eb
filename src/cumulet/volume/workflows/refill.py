"""Putting other data on a volume: a snapshot's, an image's or a backup's."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..backup_files import backup_path
from ..tables import backups, snapshots, volumes
from .rows import settle, volume_row


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
            source = {"image_path": str(backup_path(self.runtime, self.state["backup_file"])), "image_format": "raw"}
        else:
            found = await self.runtime.db.read(lambda tx: images.stored(tx, self.runtime, self.state["image_id"]))
            source = {"image_path": str(found.path), "image_format": found.format}
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
