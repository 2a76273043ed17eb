"""Telling a running guest that one of its volumes grew."""

from __future__ import annotations

import datetime as dt

from ...kernel.work import Saga, step
from ..servers.states import Vm
from .restart import server

RUNNING = {Vm.ACTIVE, Vm.PAUSED, Vm.RESCUED, Vm.RESIZED}


class ExtendDisk(Saga):
    """`volume` has `size` GiB by now. A guest that is not running finds it so when it starts."""

    deadline = dt.timedelta(minutes=5)

    @step
    async def resize(self) -> None:
        row = await server(self)
        if row.host and row.vm_state in RUNNING:
            await self.call(row.host, "compute.resize_disk", id=row.id, disk=self.state["volume"], size_bytes=self.state["size"] << 30)
