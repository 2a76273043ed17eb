"""Shelving: a server's root disk becomes an image and its host is free of it; unshelving boots from that image anywhere."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ...kernel.bus import AgentFailed, AgentUnreachable
from ...kernel.db import Tx
from ...kernel.work import Retry, Saga, step
from ..servers import states
from ..servers.states import Task, Vm
from ..servers.tables import servers
from . import restart
from .attachments import connect_volumes
from .boot import BootServer, leave_host
from .faults import fault, show_stuck
from .restart import server
from .snapshot import take


class ShelveServer(Saga):
    """`image` is the queued image that the root disk becomes, None where that is a volume. A server that cannot be shelved
    runs again, unless it was `stopped`."""

    deadline = dt.timedelta(hours=6)

    stop = restart.stop

    @step
    async def save(self) -> None:
        if self.state["image"]:
            await take(self, self.state["image"])

    def succeeded(self, tx: Tx) -> None:
        tx.update(servers, self.subject, vm_state=Vm.SHELVED, task_state=Task.OFFLOADING, power_state=states.SHUTDOWN,
                  shelved_image_id=self.state["image"], fault=None)  # fmt: skip
        OffloadServer.start(tx, self.subject, request_id=self.request_id)

    def failed(self, tx: Tx, why: str) -> None:
        if self.state["image"]:
            images.abandon(tx, self.state["image"])
        stopped = self.state["stopped"]
        tx.update(servers, self.subject, vm_state=Vm.STOPPED if stopped else Vm.ACTIVE, task_state=None, fault=fault(why),
                  power_state=states.SHUTDOWN if stopped else states.RUNNING)  # fmt: skip

    def stuck(self, tx: Tx, why: str) -> None:
        show_stuck(tx, self.subject, why)


class OffloadServer(Saga):
    """Takes a shelved server off its host. There is no way back from the first step on, only forward again: the image has
    what the disk had, and whatever of the disk is left is never booted."""

    deadline = dt.timedelta(hours=2)

    @step
    async def destroy(self) -> None:
        row = await server(self)
        try:
            await self.call(row.host, "compute.destroy", timeout=60, id=row.id)
        except (AgentFailed, AgentUnreachable) as error:
            raise Retry(str(error), 2) from None

    def succeeded(self, tx: Tx) -> None:
        offloaded(tx, self.subject)

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, task_state=None, fault=fault(why))


class UnshelveServer(BootServer):
    """Boots a shelved server where the request put it; where that fails, it is as it was: shelved, on no host."""

    @step
    async def volumes(self) -> None:
        await connect_volumes(self)

    network, spawn = BootServer.network, BootServer.spawn

    def succeeded(self, tx: Tx) -> None:
        super().succeeded(tx)
        row = tx.get(servers, id=self.subject)
        if row is not None and row.shelved_image_id:
            images.abandon(tx, row.shelved_image_id)
        tx.update(servers, self.subject, shelved_image_id=None)

    def failed(self, tx: Tx, why: str) -> None:
        offloaded(tx, self.subject)
        tx.update(servers, self.subject, fault=fault(why))

    def stuck(self, tx: Tx, why: str) -> None:
        tx.update(servers, self.subject, fault=fault(why))


def offloaded(tx: Tx, id: str) -> None:
    """A shelved server is on no host any longer."""
    leave_host(tx, id)
    tx.update(servers, id, vm_state=Vm.SHELVED_OFFLOADED, task_state=None, power_state=states.SHUTDOWN)
