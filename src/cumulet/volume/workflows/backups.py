"""Copying a volume, or a snapshot of it, into a file of the control plane's; and removing such a file."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step, supersede
from ..backup_files import backup_path
from ..messages import told
from ..tables import backups, snapshots, volumes
from .remove import remove
from .rows import settle


class CreateBackup(Saga):
    """Of a snapshot a volume is made for a while, under the backup's id: hosts copy volumes only."""

    deadline = dt.timedelta(hours=6)

    @step
    async def copy(self) -> None:
        row, volume = await self.runtime.db.read(lambda tx: rows(tx, self.subject))
        if volume is None or volume.host is None:
            raise StepFailed(f"volume {row.volume_id} is gone")
        if row.snapshot_id:
            source = {"snapshot_id": row.snapshot_id}
            await self.call(volume.host, "volume.create", timeout=3600, id=row.id, size_gib=row.size, source=source)
        path = str(backup_path(self.runtime, row.file_id))
        copied = row.id if row.snapshot_id else volume.id
        await self.call(volume.host, "volume.copy_to_image", timeout=3600, id=copied, path=path, format="raw")
        await self._forget_copy(row, volume)

    @copy.undo
    async def undo_copy(self) -> None:
        row, volume = await self.runtime.db.read(lambda tx: rows(tx, self.subject))
        backup_path(self.runtime, row.file_id).unlink(missing_ok=True)
        await self._forget_copy(row, volume)

    def succeeded(self, tx: Tx) -> None:
        tx.update(backups, {"id": self.subject, "status": "creating"}, status="available", fault=None)
        source_is_free(tx, tx.get(backups, id=self.subject))

    def failed(self, tx: Tx, why: str) -> None:
        row = tx.get(backups, id=self.subject)
        told(tx, row, "backup", why, self.request_id, "VOLUME_BACKUP")
        tx.update(backups, self.subject, status="error", fault=why)
        source_is_free(tx, row)

    def stuck(self, tx: Tx, why: str) -> None:
        tx.update(backups, self.subject, status="error", fault=why)

    async def _forget_copy(self, row: Row, volume: Row | None) -> None:
        if row.snapshot_id and volume is not None and volume.host is not None:
            await self.call(volume.host, "volume.delete", id=row.id)


class DeleteBackup(Saga):
    """`stopped_on` is the host that was copying when this began: it has to hear of it, or it writes the file once more."""

    deadline = dt.timedelta(minutes=10)

    @classmethod
    def begin(cls, tx: Tx, row: Row, request_id: str | None = None) -> None:
        """Stop what is being done to a backup, and delete it."""
        host = None
        if supersede(tx, row.id):
            source_is_free(tx, row)
            volume = tx.get(volumes, id=row.volume_id)
            host = volume.host if volume else None
        tx.update(backups, row.id, status="deleting")
        cls.start(tx, row.id, request_id=request_id, stopped_on=host)

    @step
    async def remove(self) -> None:
        if self.state["stopped_on"]:
            await remove(self, self.state["stopped_on"], "volume.delete", self.subject)
        row, shared = await self.runtime.db.read(self._rows)
        if row is not None and not shared:
            backup_path(self.runtime, row.file_id).unlink(missing_ok=True)

    def succeeded(self, tx: Tx) -> None:
        tx.delete(backups, id=self.subject)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(backups, self.subject, status="error_deleting", fault=why)

    def _rows(self, tx: Tx) -> tuple[Row | None, bool]:
        """The backup, and whether another has the same file."""
        row = tx.get(backups, id=self.subject)
        return row, row is not None and len(tx.rows(backups, file_id=row.file_id)) > 1


def rows(tx: Tx, id: str) -> tuple[Row, Row | None]:
    """A backup, and its volume where that is still there."""
    row = tx.one(backups, id=id)
    return row, tx.get(volumes, id=row.volume_id)


def source_is_free(tx: Tx, row: Row | None) -> None:
    """Let what was backed up have the status again that it had before."""
    if row is None:
        return
    if row.snapshot_id:
        tx.update(snapshots, {"id": row.snapshot_id, "status": "backing-up"}, status="available")
        return
    settle(tx, row.volume_id, "backing-up")
