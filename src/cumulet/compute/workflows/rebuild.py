"""Rebuilding a server on a new root disk."""

from __future__ import annotations

import datetime as dt

from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..servers import states
from ..servers.states import Vm
from ..servers.tables import servers
from .faults import fault
from .machine import describe, tree_of


class RebuildServer(Saga):
    """The rows say what the server is to be; `stopped` whether it is to stay off."""

    deadline = dt.timedelta(minutes=15)

    @step
    async def stop(self) -> None:
        row = await self.runtime.db.read(lambda tx: tx.get(servers, id=self.subject))
        await self.call(row.host, "compute.stop", id=row.id, grace=0)

    @step
    async def start(self) -> None:
        row = await self.runtime.db.read(lambda tx: tx.get(servers, id=self.subject))
        machine = await self.runtime.db.read(
            lambda tx: describe(tx, self.runtime, self.subject, self.generation, running=not self.state["stopped"])
        )
        tree = await self.runtime.db.read(lambda tx: tree_of(tx, row))
        await self.call(row.host, "compute.metadata", id=row.id, tree=tree)
        await self.call(row.host, "compute.update" if self.state["stopped"] else "compute.start", timeout=120, machine=machine)

    def succeeded(self, tx: Tx) -> None:
        stopped = self.state["stopped"]
        tx.update(
            servers, self.subject, vm_state=Vm.STOPPED if stopped else Vm.ACTIVE, task_state=None, fault=None,
            power_state=states.SHUTDOWN if stopped else states.RUNNING, launched_at=clock.now(), progress=100,
        )  # fmt: skip

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ERROR, task_state=None, fault=fault(why))
