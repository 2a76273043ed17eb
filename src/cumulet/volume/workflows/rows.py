"""The row that work is done for, and the status that a volume goes back to."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed
from ..tables import attachments, volumes

USED = ("reserved", "in-use", "attaching", "detaching")
"""Statuses of volumes that only tell who uses them."""


def settle(tx: Tx, id: str, *over: str) -> None:
    """Give a volume the status that its uses make, where all that it had told of was uses, or work (`over`) that has ended."""
    left = {row.status for row in tx.rows(attachments, volume_id=id)}
    status = "in-use" if "attached" in left else "attaching" if "attaching" in left else "reserved" if left else "available"
    had = volumes.c.status.in_((*USED, *over))
    tx.execute(sa.update(volumes).where(volumes.c.id == id, had).values(status=status, updated_at=clock.now()))


async def volume_row(saga: Saga, id: str) -> Row:
    """A volume that a host keeps. Raises StepFailed where it is gone, or no host has it."""
    row = await saga.runtime.db.read(lambda tx: tx.get(volumes, id=id))
    if row is None or row.host is None:
        raise StepFailed(f"volume {id} is {'gone' if row is None else 'on no host'}")
    return row
