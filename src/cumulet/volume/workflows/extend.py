"""Making a volume larger, and telling those who have it attached."""

from __future__ import annotations

import datetime as dt
import typing as t

from ...kernel.db import Tx
from ...kernel.work import Saga, StepFailed, step
from ..messages import told
from ..tables import attachments, volumes
from .rows import settle, volume_row

Hearer = t.Callable[[Tx, str, str, int, str | None], None]
HEARERS: list[Hearer] = []


def on_extended(hear: Hearer) -> Hearer:
    """Have a function told, in the transaction that ends it, of each server whose attached volume has grown:
    `(tx, server_id, volume_id, size_gib, request_id)`."""
    HEARERS.append(hear)
    return hear


class ExtendVolume(Saga):
    """`growing_to` of the row is the new size."""

    deadline = dt.timedelta(minutes=30)

    @step
    async def resize(self) -> None:
        row = await volume_row(self, self.subject)
        if row.growing_to is None:
            raise StepFailed("the volume is not being extended any more")
        await self.call(row.host, "volume.extend", id=row.id, size_gib=row.growing_to)

    def succeeded(self, tx: Tx) -> None:
        row = tx.get(volumes, id=self.subject)
        if row is None or row.growing_to is None:
            return
        tx.update(volumes, row.id, size=row.growing_to, growing_to=None, fault=None)
        settle(tx, row.id, "extending")
        for use in tx.rows(attachments, volume_id=row.id, by_compute=True, status="attached"):
            for hear in HEARERS:
                hear(tx, use.instance_id, row.id, row.growing_to, self.request_id)

    def failed(self, tx: Tx, why: str) -> None:
        told(tx, tx.get(volumes, id=self.subject), "extend", why, self.request_id)
        tx.update(volumes, self.subject, status="error_extending", growing_to=None, fault=why)
