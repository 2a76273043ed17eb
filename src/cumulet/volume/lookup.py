"""Finding what a caller names: theirs, or what they may use."""

from __future__ import annotations

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import NotFound
from .tables import snapshots, volumes


def find(tx: Tx, context: Context, id: str) -> Row:
    """A volume of the caller's. Raises NotFound."""
    row = tx.get(volumes, id=id)
    if row is None or not _may_see(context, row):
        raise NotFound(f"Volume {id} could not be found.")
    return row


def find_snapshot(tx: Tx, context: Context, id: str) -> Row:
    """A snapshot of the caller's. Raises NotFound."""
    row = tx.get(snapshots, id=id)
    if row is None or not _may_see(context, row):
        raise NotFound(f"Snapshot {id} could not be found.")
    return row


def _may_see(context: Context, row: Row) -> bool:
    return context.is_admin or row.project_id == context.project_id
