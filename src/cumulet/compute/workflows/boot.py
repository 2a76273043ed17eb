"""Booting a server that has its place, its ports and its volumes' rows: the work that follows the request."""

from __future__ import annotations

import datetime as dt

from ... import network, placement
from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..servers.states import NOSTATE, RUNNING, Task, Vm
from ..servers.tables import block_devices, nics, servers
from .attachments import connect_volumes
from .faults import fault, show_stuck
from .restart import power_on, server


class BootServer(Saga):
    """`host` is where the request put it."""

    deadline = dt.timedelta(minutes=15)

    @step
    async def volumes(self) -> None:
        await self.write(lambda tx: tx.update(servers, self.subject, task_state=Task.NETWORKING))
        await connect_volumes(self)

    @step
    async def network(self) -> None:
        await network.realize(self.runtime, await self._host(), self.subject)
        await self.write(lambda tx: tx.update(servers, self.subject, task_state=Task.SPAWNING))

    @step
    async def spawn(self) -> None:
        await power_on(self)

    @spawn.undo
    async def spawn(self) -> None:
        await self.call(await self._host(), "compute.destroy", id=self.subject)

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ACTIVE, task_state=None, power_state=RUNNING, launched_at=clock.now(),
                  progress=100, fault=None)  # fmt: skip

    def failed(self, tx: Tx, why: str) -> None:
        leave_host(tx, self.subject)
        tx.update(servers, self.subject, vm_state=Vm.ERROR, task_state=None, power_state=NOSTATE, fault=fault(why))

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)

    async def _host(self) -> str:
        return (await server(self)).host


def leave_host(tx: Tx, id: str) -> None:
    """The rows of a server that no host has any longer; its ports and volumes stay its own."""
    placement.release(tx, id)
    for card in tx.rows(nics, server_id=id):
        network.unbind_port(tx, card.port_id)
    tx.update(block_devices, {"server_id": id}, connection=None)
    tx.update(servers, id, host=None)
