"""Changing what a running or stopped server does: start, stop, reboot, pause, suspend and their opposites."""

from __future__ import annotations

import datetime as dt
import typing as t

from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..servers import states
from ..servers.states import Vm
from ..servers.tables import servers
from .attachments import connect_volumes
from .faults import fault
from .machine import describe
from .restart import have_images, server
from .tell import tell


class Change(t.NamedTuple):
    """An agent's command, and what the server is after it."""

    command: str
    vm_state: Vm
    power_state: int
    whole: bool = False
    """Whether the command takes the whole description instead of the id."""
    hard: bool | None = None


CHANGES = {
    "start": Change("compute.start", Vm.ACTIVE, states.RUNNING, whole=True),
    "stop": Change("compute.stop", Vm.STOPPED, states.SHUTDOWN),
    "reboot": Change("compute.reboot", Vm.ACTIVE, states.RUNNING, whole=True, hard=False),
    "reboot-hard": Change("compute.reboot", Vm.ACTIVE, states.RUNNING, whole=True, hard=True),
    "pause": Change("compute.pause", Vm.PAUSED, states.PAUSED),
    "unpause": Change("compute.unpause", Vm.ACTIVE, states.RUNNING),
    "suspend": Change("compute.suspend", Vm.SUSPENDED, states.SHUTDOWN),
    "resume": Change("compute.resume", Vm.ACTIVE, states.RUNNING),
}


KEPT = {Vm.RESCUED, Vm.RESIZED}
"""What a server stays that its host starts again after a crash: its owner has yet to say how that ends."""


class PowerServer(Saga):
    """`change` names one of CHANGES."""

    deadline = dt.timedelta(minutes=10)

    @step
    async def act(self) -> None:
        change = CHANGES[self.state["change"]]
        row = await server(self)
        if not change.whole:
            grace = {"grace": self.runtime.config.stop_grace_seconds} if change.command == "compute.stop" else {}
            await self.call(row.host, change.command, timeout=120, id=self.subject, **grace)
            return
        await connect_volumes(self)
        await tell(self)
        machine = await self.runtime.db.read(lambda tx: describe(tx, self.runtime, self.subject, self.generation))
        await have_images(self, row.host, machine)
        hard = {} if change.hard is None else {"hard": change.hard}
        await self.call(row.host, change.command, timeout=120, machine=machine, **hard)

    def succeeded(self, tx: Tx) -> None:
        change, row = CHANGES[self.state["change"]], tx.one(servers, id=self.subject)
        vm_state = row.vm_state if row.vm_state in KEPT else change.vm_state
        tx.update(servers, row.id, vm_state=vm_state, power_state=change.power_state, task_state=None, fault=None)

    def failed(self, tx: Tx, why: str) -> None:
        """The server stays what it was; a power-state round tells what its host has."""
        tx.update(servers, self.subject, task_state=None, fault=fault(why))
        tx.nudge("power")
