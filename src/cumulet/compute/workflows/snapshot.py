"""Making an image of a server's root disk, or of its volumes."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ... import volume
from ...kernel.db import Tx
from ...kernel.work import Retry, Saga, StepFailed, step
from ..servers.tables import servers
from .restart import server


class SnapshotServer(Saga):
    """`image` is the queued image that becomes the snapshot."""

    deadline = dt.timedelta(hours=6)

    @step
    async def take(self) -> None:
        await take(self, self.state["image"])

    @take.undo
    def undo_take(self, tx: Tx) -> None:
        images.abandon(tx, self.state["image"])

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, task_state=None)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, task_state=None)


class SnapshotVolumes(Saga):
    """`image` is the queued image that is of use once all `snapshots` of the server's volumes are taken: it is about them, and
    has no data of its own."""

    deadline = dt.timedelta(hours=6)

    @step
    async def wait(self) -> None:
        states = await self.runtime.db.read(lambda tx: {volume.snapshot_state(tx, id) for id in self.state["snapshots"]})
        if failed := [state for state in states if state == "deleting" or state.startswith("error")]:
            raise StepFailed(f"A snapshot of the server's volumes could not be taken: its status is {failed[0]}.")
        if "creating" in states:
            raise Retry("snapshots are being taken", 0.2)

    @wait.undo
    def undo_wait(self, tx: Tx) -> None:
        drop(tx, self.state)

    @step
    async def publish(self) -> None:
        path = images.incoming(self.runtime, self.state["image"])
        path.touch()
        await images.adopt(self.runtime, self.state["image"], path)

    succeeded, failed = SnapshotServer.succeeded, SnapshotServer.failed


def drop(tx: Tx, state: dict) -> None:
    """Forget the image that work with this state was to make, and the snapshots that it was to be about."""
    if queued := state.get("image"):
        images.abandon(tx, queued)
    for id in state.get("snapshots", ()):
        volume.drop_snapshot(tx, id)


async def take(saga: Saga, image_id: str) -> None:
    """Write the root disk of the saga's server into an image that waits for it."""
    row = await server(saga)
    path = images.incoming(saga.runtime, image_id)
    await saga.call(row.host, "compute.snapshot", timeout=3600, id=row.id, path=str(path))
    await images.adopt(saga.runtime, image_id, path)
