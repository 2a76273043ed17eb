"""Finding backups, and what is written down of one that a volume is made of."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Request
from .tables import backups


def find_backup(tx: Tx, request: Request, id: str) -> Row:
    """A backup of the caller's. Raises NotFound."""
    row = tx.get(backups, id=id)
    if row is None or not (row.project_id == request.context.project_id or request.context.is_admin):
        raise NotFound(f"Backup {id} could not be found.")
    return row


def ready_backup(tx: Tx, request: Request, id: str) -> Row:
    """A backup of the caller's that can be restored. Raises NotFound, BadRequest."""
    row = find_backup(tx, request, id)
    if row.status != "available":
        raise BadRequest(f"Invalid backup: Backup status must be available, but its status is {row.status}.")
    return row


def restoring(tx: Tx, backup: Row, volume: Row) -> None:
    """Write down that a volume is being made of a backup, where it is."""
    if volume.status != "error":
        tx.update(backups, backup.id, status="restoring", restored_to=volume.id)
