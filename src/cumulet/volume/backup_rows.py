"""Finding backups, and what is written down of one that a volume is made of."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Request
from .lookup import theirs
from .tables import backups


def find_backup(tx: Tx, request: Request, id: str) -> Row:
    """A backup of the caller's. Raises NotFound."""
    return theirs(tx, request.context, backups, id, f"Backup {id} could not be found.")


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
