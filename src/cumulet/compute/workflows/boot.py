"""Booting a server that has its place, its ports and its volumes' rows: the work that follows the request."""

from __future__ import annotations

import datetime as dt

from ... import network, placement
from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.errors import ApiError
from ...kernel.work import Saga, step
from ..placing import settle_on_host
from ..scheduler import NoValidHost
from ..servers.states import NOSTATE, RUNNING, Task, Vm
from ..servers.tables import block_devices, nics, servers
from .attachments import connect_volumes
from .faults import fault, show_stuck
from .restart import power_on, server

TRIES = 3
"""On how many hosts a boot is tried."""


class BootServer(Saga):
    """The row says on which host. `pinned` says that it must be this one, `tried` on which it has failed before."""

    deadline = dt.timedelta(hours=2)

    @step
    async def volumes(self) -> dict:
        await self.write(lambda tx: tx.update(servers, self.subject, task_state=Task.NETWORKING))
        await connect_volumes(self)
        return {"has_volumes": True}

    @step
    async def network(self) -> None:
        await network.realize(self.runtime, await self._host(), self.subject)
        await self.write(lambda tx: tx.update(servers, self.subject, task_state=Task.SPAWNING))

    @step
    async def spawn(self) -> None:
        await power_on(self)

    @spawn.undo
    async def undo_spawn(self) -> None:
        await self.call(await self._host(), "compute.destroy", id=self.subject)

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ACTIVE, task_state=None, power_state=RUNNING, launched_at=clock.now(),
                  progress=100, fault=None)  # fmt: skip

    def failed(self, tx: Tx, why: str) -> None:
        tried = [*self.state.get("tried", ()), tx.one(servers, id=self.subject).host]
        leave_host(tx, self.subject)
        if self.state.get("has_volumes") and self._elsewhere(tx, tried):
            return
        if len(tried) > 1:
            why = f"Exceeded maximum number of retries: it failed on {', '.join(tried)}, there because: {why}"
        tx.update(servers, self.subject, vm_state=Vm.ERROR, task_state=None, power_state=NOSTATE, fault=fault(why))

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)

    def _elsewhere(self, tx: Tx, tried: list[str]) -> bool:
        """Begin anew on a host that has not failed yet, where there is one. For what no other host can help, as a volume that
        could not be made, this is not asked."""
        row = tx.one(servers, id=self.subject)
        if self.state.get("pinned") or len(tried) >= TRIES:
            return False
        try:
            with tx.savepoint():
                settle_on_host(tx, row, zone=row.availability_zone, avoid=tried)
        except (NoValidHost, ApiError):
            return False
        tx.update(servers, row.id, vm_state=Vm.BUILDING, task_state=Task.SCHEDULING, fault=None)
        BootServer.start(tx, row.id, request_id=self.request_id, tried=tried)
        return True

    async def _host(self) -> str:
        return (await server(self)).host


def leave_host(tx: Tx, id: str) -> None:
    """The rows of a server that no host has any longer; its ports and volumes stay its own."""
    placement.release(tx, id)
    for card in tx.rows(nics, server_id=id):
        network.unbind_port(tx, card.port_id)
    tx.update(block_devices, {"server_id": id}, connection=None)
    tx.update(servers, id, host=None)
