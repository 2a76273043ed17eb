"""Finding what a caller names: theirs, or what they may use."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import NotFound
from .tables import snapshots, volumes


def find(tx: Tx, context: Context, id: str) -> Row:
    """A volume of the caller's. Raises NotFound."""
    return theirs(tx, context, volumes, id, f"Volume {id} could not be found.")


def find_snapshot(tx: Tx, context: Context, id: str) -> Row:
    """A snapshot of the caller's. Raises NotFound."""
    return theirs(tx, context, snapshots, id, f"Snapshot {id} could not be found.")


def theirs(tx: Tx, context: Context, table: sa.Table, id: str, missing: str) -> Row:
    """The row of this id, where it is the caller's (or the caller sees every project's). Raises NotFound, in the words
    `missing`."""
    row = tx.get(table, id=id)
    if row is None or not (context.is_admin or row.project_id == context.project_id):
        raise NotFound(missing)
    return row
