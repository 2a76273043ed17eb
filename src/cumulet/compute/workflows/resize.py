"""Resizing on the server's own host: power off, another description, power on; and back."""

from __future__ import annotations

import datetime as dt
import typing as t

from ... import placement
from ...kernel.db import Row, Tx
from ...kernel.work import Saga, step
from ..migrations import note_migration
from ..servers import states
from ..servers.states import Task, Vm
from ..servers.tables import block_devices, servers
from .faults import fault, show_stuck
from .restart import power_off, power_on, server


class _Reshape(Saga):
    deadline = dt.timedelta(hours=2)

    async def power_on(self) -> None:
        """Run the server as its rows now say, unless it was stopped when this began."""
        await power_on(self, stopped=((await server(self)).resize or {}).get("stopped", False))

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)


class ResizeServer(_Reshape):
    """`flavor` is what the server becomes; what it was is in its `resize`."""

    @step
    async def halt(self) -> None:
        await power_off(self)

    @halt.undo
    async def undo_halt(self) -> None:
        await self.power_on()

    @step
    def reshape(self, tx: Tx) -> None:
        reshape(tx, self.subject, self.state["flavor"], Task.RESIZE_FINISH)

    @reshape.undo
    def undo_reshape(self, tx: Tx) -> None:
        row = tx.one(servers, id=self.subject)
        reshape(tx, self.subject, row.resize["flavor"], Task.RESIZE_REVERTING)

    @step
    async def boot(self) -> None:
        await self.power_on()

    @boot.undo
    async def undo_boot(self) -> None:
        await power_off(self)

    def succeeded(self, tx: Tx) -> None:
        row = tx.one(servers, id=self.subject)
        tx.update(servers, row.id, vm_state=Vm.RESIZED, task_state=None, power_state=_power(row))
        note_migration(tx, row.resize["consumer"], "finished")

    def failed(self, tx: Tx, why: str) -> None:
        row = tx.one(servers, id=self.subject)
        placement.release(tx, row.id)
        placement.move(tx, row.resize["consumer"], row.id)
        note_migration(tx, row.resize["consumer"], "error")
        old = row.resize["flavor"]
        tx.update(servers, row.id, vcpus=old["vcpus"], memory_mib=old["ram"], task_state=None, resize=None, fault=fault(why),
                  **settled_state(row))  # fmt: skip


class RevertResize(_Reshape):
    """`flavor` is what the server was resized to, and stays where it cannot go back."""

    halt = ResizeServer.halt

    @step
    def reshape(self, tx: Tx) -> None:
        row = tx.one(servers, id=self.subject)
        reshape(tx, self.subject, row.resize["flavor"], Task.RESIZE_REVERTING)

    @reshape.undo
    def undo_reshape(self, tx: Tx) -> None:
        reshape(tx, self.subject, self.state["flavor"], Task.RESIZE_FINISH)

    boot = ResizeServer.boot

    def succeeded(self, tx: Tx) -> None:
        row = tx.one(servers, id=self.subject)
        placement.release(tx, row.id)
        placement.move(tx, row.resize["consumer"], row.id)
        tx.update(servers, row.id, task_state=None, resize=None, **settled_state(row))
        note_migration(tx, row.resize["consumer"], "reverted")

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, vm_state=Vm.RESIZED, task_state=None, fault=fault(why))
        note_migration(tx, tx.one(servers, id=self.subject).resize["consumer"], "finished")


def reshape(tx: Tx, id: str, flavor: dict[str, t.Any], task: Task) -> None:
    """Give a server a flavor, in its rows."""
    tx.update(servers, id, flavor=flavor, vcpus=flavor["vcpus"], memory_mib=flavor["ram"], task_state=task)
    tx.update(block_devices, {"server_id": id, "boot_index": 0, "destination_type": "local"}, size_gib=flavor["disk"])


def settled_state(row: Row) -> dict[str, t.Any]:
    """What a server is once a resize is over: running, or stopped where it was."""
    stopped = (row.resize or {}).get("stopped", False)
    return {"vm_state": Vm.STOPPED if stopped else Vm.ACTIVE, "power_state": _power(row)}


def _power(row: Row) -> int:
    return states.SHUTDOWN if (row.resize or {}).get("stopped", False) else states.RUNNING
