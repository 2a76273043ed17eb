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
from .restart import power_off, power_on


class RebuildServer(Saga):
    """The rows say what the server is to be; `stopped` whether it is to stay off."""

    deadline = dt.timedelta(hours=2)

    @step
    async def halt(self) -> None:
        await power_off(self, 0)

    @step
    async def boot(self) -> None:
        await power_on(self, stopped=self.state["stopped"])

    def succeeded(self, tx: Tx) -> None:
        stopped = self.state["stopped"]
        tx.update(
            servers, self.subject, vm_state=Vm.STOPPED if stopped else Vm.ACTIVE, task_state=None, fault=None,
            power_state=states.SHUTDOWN if stopped else states.RUNNING, launched_at=clock.now(), progress=100,
        )  # fmt: skip

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ERROR, task_state=None, fault=fault(why))
