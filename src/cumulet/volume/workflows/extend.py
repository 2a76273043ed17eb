"""Making a volume larger, and telling those who have it attached."""

from __future__ import annotations

import datetime as dt
import typing as t

from ...kernel.db import Tx
from ...kernel.runtime import Runtime
from ...kernel.work import Saga, StepFailed, step
from ..messages import told
from ..tables import attachments, volumes

Hearer = t.Callable[[Runtime, str, str, int], t.Awaitable[None]]
HEARERS: list[Hearer] = []


def on_extended(hear: Hearer) -> Hearer:
    """Have a function told of each server whose attached volume has grown: `(runtime, server_id, volume_id, size_gib)`.
    It may be called again for the same growth, and what it raises fails the extension."""
    HEARERS.append(hear)
    return hear


class ExtendVolume(Saga):
    """`growing_to` of the row is the new size, and `previous_status` what it goes back to."""

    deadline = dt.timedelta(minutes=30)

    @step
    async def resize(self) -> dict[str, bool]:
        row = await self.runtime.db.read(lambda tx: tx.get(volumes, id=self.subject))
        if row is None or row.growing_to is None:
            raise StepFailed("the volume is not being extended any more")
        await self.call(row.host, "volume.extend", id=row.id, size_gib=row.growing_to)
        return {"grown": True}

    @step
    async def tell(self) -> None:
        row, uses = await self.runtime.db.read(lambda tx: (
            tx.get(volumes, id=self.subject), tx.rows(attachments, volume_id=self.subject, by_compute=True, status="attached")))  # fmt: skip
        for use in uses:
            for hear in HEARERS:
                await hear(self.runtime, use.instance_id, row.id, row.growing_to)

    def succeeded(self, tx: Tx) -> None:
        self._take_size(tx)
        row = tx.get(volumes, id=self.subject, status="extending")
        if row is not None:
            tx.update(volumes, row.id, status=row.previous_status or "available", previous_status=None)

    def failed(self, tx: Tx, why: str) -> None:
        if "grown" in self.state:
            self._take_size(tx)
        told(tx, tx.get(volumes, id=self.subject), "extend", why, self.request_id)
        tx.update(volumes, self.subject, status="error_extending", growing_to=None, fault=why)

    def _take_size(self, tx: Tx) -> None:
        grown = volumes.update().where(volumes.c.id == self.subject, volumes.c.growing_to.is_not(None))
        tx.execute(grown.values(size=volumes.c.growing_to, growing_to=None))
