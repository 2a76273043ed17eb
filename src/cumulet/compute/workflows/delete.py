"""Deleting a server, in whatever state it is and whatever was being done to it."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ... import network, placement, volume
from ...kernel import clock
from ...kernel.bus import AgentFailed, AgentUnreachable
from ...kernel.db import Row, Tx
from ...kernel.work import Retry, Saga, step, supersede
from ..server_groups import leave_group
from ..servers.states import Task
from ..servers.tables import nics, servers
from .attachments import volumes_of
from .interfaces import put_back
from .snapshot import drop

PATIENCE = dt.timedelta(minutes=3)
"""How long before the deadline a host that fails is still asked again; after that its reconciler has to clean up."""


class DeleteServer(Saga):
    """Tears down from the rows. A host that does not answer is passed over: when it comes back it is told what it
    should have, and removes the rest by itself."""

    deadline = dt.timedelta(minutes=5)

    @step
    async def destroy(self) -> None:
        row = await self.runtime.db.read(lambda tx: tx.get(servers, id=self.subject))
        for host in _hosts(row):
            try:
                await self.call(host, "compute.destroy", timeout=20, id=self.subject)
            except AgentUnreachable:
                continue
            except AgentFailed as error:
                if self.ends - clock.now() > PATIENCE:
                    raise Retry(str(error), 2) from None

    @step
    def forget(self, tx: Tx) -> None:
        forget(tx, self.subject)

    def failed(self, tx: Tx, why: str) -> None:
        """It ends all the same: what is left on its host, a reconciler removes."""
        forget(tx, self.subject)


def delete(tx: Tx, row: Row, request_id: str | None) -> None:
    """Begin the end of a server: whatever else was being done to it stops here."""
    for work in supersede(tx, row.id):
        drop(tx, work.state)
        put_back(tx, row.id, work.state)
    tx.update(servers, row.id, task_state=Task.DELETING)
    DeleteServer.start(tx, row.id, request_id=request_id)


def forget(tx: Tx, id: str) -> None:
    """Give back all that a server holds, in every service, and forget it."""
    for disk in volumes_of(tx, id):
        volume.detach(tx, disk.volume_id, server_id=id)
        if disk.delete_on_termination:
            volume.delete(tx, disk.volume_id)
    for card in tx.rows(nics, server_id=id):
        network.release_port(tx, card.port_id, delete=card.ours)
    placement.release(tx, id)
    row = tx.get(servers, id=id)
    if row is not None and row.resize:
        placement.release(tx, row.resize["consumer"])
    if row is not None and row.shelved_image_id:
        images.abandon(tx, row.shelved_image_id)
    leave_group(tx, id)
    tx.delete(servers, id=id)


def _hosts(row: Row | None) -> list[str]:
    """Where something of it may be: its host, and the one that a resize came from."""
    if row is None:
        return []
    return list(dict.fromkeys(h for h in (row.host, (row.resize or {}).get("host")) if h))
