"""Attaching a volume to a server that is there, and taking it away."""

from __future__ import annotations

import datetime as dt

from ... import volume
from ...kernel.db import Row, Tx
from ...kernel.work import Saga, step
from ..servers.states import Vm
from ..servers.tables import block_devices, servers
from .attachments import attached
from .machine import describe
from .restart import server

WITH_MACHINE = {Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED, Vm.RESCUED, Vm.RESIZED}
"""States in which the server's host has its description."""


class AttachVolume(Saga):
    """`disk` is the block device's id."""

    deadline = dt.timedelta(minutes=5)

    @step
    async def connect(self) -> None:
        row, disk = await self.runtime.db.read(lambda tx: rows(tx, self.subject, self.state["disk"]))
        if row.host is None:
            return
        connection = await volume.connect(self.runtime, disk.volume_id, row.host)
        await self.write(lambda tx: tx.update(block_devices, disk.id, connection=connection))

    @connect.undo
    def undo_connect(self, tx: Tx) -> None:
        disk = tx.get(block_devices, id=self.state["disk"])
        if disk is not None:
            volume.detach(tx, disk.volume_id, server_id=self.subject)
            tx.delete(block_devices, id=disk.id)

    @step
    async def plug(self) -> None:
        await update_machine(self)

    @plug.undo
    async def undo_plug(self) -> None:
        await self.write(lambda tx: tx.update(block_devices, self.state["disk"], connection=None))
        await update_machine(self)

    def succeeded(self, tx: Tx) -> None:
        row, disk = rows(tx, self.subject, self.state["disk"])
        attached(tx, disk, disk.connection, row.host)


class DetachVolume(Saga):
    """`disk` is the block device's id."""

    deadline = dt.timedelta(minutes=5)

    @step
    async def unplug(self) -> None:
        await self.write(lambda tx: tx.update(block_devices, self.state["disk"], connection=None))
        await update_machine(self)

    @unplug.undo
    async def undo_unplug(self) -> None:
        row, disk = await self.runtime.db.read(lambda tx: rows(tx, self.subject, self.state["disk"]))
        if row.host is None:
            return
        connection = await volume.connect(self.runtime, disk.volume_id, row.host)
        await self.write(lambda tx: tx.update(block_devices, disk.id, connection=connection))
        await update_machine(self)

    def succeeded(self, tx: Tx) -> None:
        disk = tx.one(block_devices, id=self.state["disk"])
        volume.detach(tx, disk.volume_id, server_id=self.subject)
        tx.delete(block_devices, id=disk.id)

    def failed(self, tx: Tx, why: str) -> None:
        """The volume is still in the guest."""
        disk = tx.one(block_devices, id=self.state["disk"])
        volume.roll_detaching(tx, disk.volume_id)


def rows(tx: Tx, server_id: str, disk_id: str) -> tuple[Row, Row]:
    return tx.one(servers, id=server_id), tx.one(block_devices, id=disk_id)


async def update_machine(saga: Saga) -> None:
    """Have the server's host bring it to its description as it is now, where it has one."""
    row = await server(saga)
    if row.host is None or row.vm_state not in WITH_MACHINE:
        return
    running = row.vm_state not in (Vm.STOPPED,)
    machine = await saga.runtime.db.read(lambda tx: describe(tx, saga.runtime, row.id, saga.generation, running=running))
    await saga.call(row.host, "compute.update", machine=machine)
