"""The row that work is done for."""

from __future__ import annotations

from ...kernel.db import Row
from ...kernel.work import Saga, StepFailed
from ..tables import volumes


async def volume_row(saga: Saga, id: str) -> Row:
    """A volume that a host keeps. Raises StepFailed where it is gone, or no host has it."""
    row = await saga.runtime.db.read(lambda tx: tx.get(volumes, id=id))
    if row is None or row.host is None:
        raise StepFailed(f"volume {id} is {'gone' if row is None else 'on no host'}")
    return row
