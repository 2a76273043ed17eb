"""Booting a server from another image beside its own disks, and going back."""

from __future__ import annotations

import datetime as dt

from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..servers import states
from ..servers.states import Vm
from ..servers.tables import servers
from . import restart
from .faults import fault, show_stuck
from .restart import power_off, power_on


class RescueServer(Saga):
    """The row's `rescue` names the image. `was` is the state that it was in, `stopped` whether it was off then."""

    deadline = dt.timedelta(hours=2)

    stop = restart.stop

    @step
    def turn(self, tx: Tx) -> None:
        tx.update(servers, self.subject, rescue=self.state["rescue"])

    @turn.undo
    def undo_turn(self, tx: Tx) -> None:
        tx.update(servers, self.subject, rescue=None)

    @step
    async def boot(self) -> None:
        await power_on(self)

    @boot.undo
    async def undo_boot(self) -> None:
        await power_off(self, 0)

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.RESCUED, task_state=None, power_state=states.RUNNING, fault=None)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=self.state["was"], task_state=None, fault=fault(why))
        tx.nudge("power")

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)


class UnrescueServer(Saga):
    """`rescue` is what the server goes back to where it cannot leave its rescue."""

    deadline = dt.timedelta(hours=2)

    @step
    async def stop(self) -> None:
        await power_off(self)

    @stop.undo
    async def undo_stop(self) -> None:
        await power_on(self)

    @step
    def turn(self, tx: Tx) -> None:
        tx.update(servers, self.subject, rescue=None)

    @turn.undo
    def undo_turn(self, tx: Tx) -> None:
        tx.update(servers, self.subject, rescue=self.state["rescue"])

    boot = RescueServer.boot

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.ACTIVE, task_state=None, power_state=states.RUNNING, fault=None)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=Vm.RESCUED, task_state=None, fault=fault(why))

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)
