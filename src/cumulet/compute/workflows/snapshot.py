"""Making an image of a server's root disk."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..servers.tables import servers


class SnapshotServer(Saga):
    """`image` is the queued image that becomes the snapshot."""

    deadline = dt.timedelta(hours=6)

    @step
    async def take(self) -> None:
        await take(self, self.state["image"])

    @take.undo
    def take(self, tx: Tx) -> None:
        images.abandon(tx, self.state["image"])

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, task_state=None)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, task_state=None)


async def take(saga: Saga, image_id: str) -> None:
    """Write the root disk of the saga's server into an image that waits for it."""
    row = await saga.runtime.db.read(lambda tx: tx.get(servers, id=saga.subject))
    path = images.incoming(saga.runtime, image_id)
    await saga.call(row.host, "compute.snapshot", timeout=3600, id=row.id, path=str(path))
    await images.adopt(saga.runtime, image_id, path)
