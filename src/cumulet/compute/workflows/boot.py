"""Booting a server that has its place, its ports and its volumes' rows: the work that follows the request."""

from __future__ import annotations

import datetime as dt

from ... import network, placement
from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..drivers.base import Machine
from ..servers.states import NOSTATE, RUNNING, Task, Vm
from ..servers.tables import nics, servers
from .attachments import connect_volumes, disconnect_volumes
from .faults import fault
from .machine import describe, tree_of


class BootServer(Saga):
    """`host` is where the request put it."""

    deadline = dt.timedelta(minutes=15)

    @step
    async def volumes(self) -> None:
        await self.runtime.db.write(lambda tx: tx.update(servers, self.subject, task_state=Task.NETWORKING))
        await connect_volumes(self.runtime, self.subject)

    @volumes.undo
    async def volumes(self) -> None:
        await disconnect_volumes(self.runtime, self.subject)

    @step
    async def network(self) -> None:
        await network.realize(self.runtime, await self._host())
        await self.runtime.db.write(lambda tx: tx.update(servers, self.subject, task_state=Task.SPAWNING))

    @network.undo
    def network(self, tx: Tx) -> None:
        for card in tx.rows(nics, server_id=self.subject):
            network.unbind_port(tx, card.port_id)

    @step
    async def spawn(self) -> None:
        machine, tree = await self.runtime.db.read(self._description)
        host = await self._host()
        await self.call(host, "compute.metadata", id=self.subject, tree=tree)
        await self.call(host, "compute.start", machine=machine)

    @spawn.undo
    async def spawn(self) -> None:
        await self.call(await self._host(), "compute.destroy", id=self.subject)

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ACTIVE, task_state=None, power_state=RUNNING, launched_at=clock.now(),
                  progress=100, fault=None)  # fmt: skip

    def failed(self, tx: Tx, why: str) -> None:
        placement.release(tx, self.subject)
        tx.update(servers, self.subject, vm_state=Vm.ERROR, task_state=None, power_state=NOSTATE, host=None, fault=fault(why))

    def stuck(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ERROR, fault=fault(why))

    def _description(self, tx: Tx) -> tuple[Machine, dict[str, str]]:
        row = tx.get(servers, id=self.subject)
        return describe(tx, self.runtime, self.subject, self.generation), tree_of(tx, row)

    async def _host(self) -> str:
        row = await self.runtime.db.read(lambda tx: tx.get(servers, id=self.subject))
        return row.host


