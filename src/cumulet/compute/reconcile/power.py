"""Keeping what the rows say of servers' power and what their hosts do the same; removing what no row knows."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from ...kernel.bus import AgentError
from ...kernel.db import Tx
from ...kernel.log import get_logger
from ...kernel.work import Reconciler
from ...kernel.work.tasks import LIVE, tasks
from ..hosts import COMPUTE, compute_services, is_up
from ..servers import states
from ..servers.states import Vm
from ..servers.tables import servers
from ..workflows.power import PowerServer

log = get_logger("power")

SEEN = {
    "running": states.RUNNING,
    "paused": states.PAUSED,
    "suspended": states.SHUTDOWN,
    "stopped": states.SHUTDOWN,
    "crashed": states.CRASHED,
}
EXPECTED = {Vm.ACTIVE: "running", Vm.PAUSED: "paused", Vm.SUSPENDED: "suspended", Vm.STOPPED: "stopped", Vm.RESCUED: "running",
            Vm.RESIZED: "running"}  # fmt: skip


class HostServers(Reconciler):
    """Asks every host for its machines."""

    name = "host-servers"
    interval = 60.0
    nudged_by = ("power",)

    async def run_once(self) -> None:
        services = await self.runtime.db.read(lambda tx: tx.rows(compute_services, binary=COMPUTE))
        await asyncio.gather(*(self._host(row.host) for row in services if is_up(row)))

    async def _host(self, host: str) -> None:
        try:
            found = await self.runtime.bus.call(host, "compute.list", {}, timeout=20)
        except AgentError as error:
            log.warning("a host could not be asked for its machines", host=host, error=str(error))
            return
        known = await self.runtime.db.read(lambda tx: _known(tx, [machine["id"] for machine in found]))
        for machine in found:
            if machine["id"] not in known:
                await self._remove(host, machine["id"], machine["generation"])
        await self.runtime.db.write(lambda tx: [settle(tx, host, m["id"], m["power"]) for m in found])

    async def _remove(self, host: str, id: str, generation: int) -> None:
        """A machine without a server is what a delete left on a host that was away. Asked again just before, so that
        one created since is not taken for one."""
        if await self.runtime.db.read(lambda tx: tx.get(servers, id=id)) is not None:
            return
        log.info("removing a machine that no server has", host=host, server=id)
        try:
            await self.runtime.bus.call(host, "compute.destroy", {"id": id}, subject=id, timeout=60)
        except AgentError as error:
            log.warning("it could not be removed", host=host, server=id, error=str(error))


def settle(tx: Tx, host: str, id: str, power: str) -> None:
    """Bring a server's rows to what its host says of it, unless work on it is under way. A guest that should run and was
    cut off with its host is started again; one that shut itself down is stopped."""
    row = tx.get(servers, id=id)
    if row is None or row.host != host or row.task_state is not None or row.vm_state not in EXPECTED:
        return
    if tx.first(sa.select(tasks.c.id).where(tasks.c.subject == id, tasks.c.status == LIVE)):
        return
    if power == EXPECTED[row.vm_state]:
        if row.power_state != SEEN[power]:
            tx.update(servers, id, power_state=SEEN[power], updated_at=row.updated_at)
        return
    if power == "crashed" and EXPECTED[row.vm_state] == "running":
        tx.update(servers, id, task_state=states.Task.POWERING_ON)
        PowerServer.start(tx, id, change="start")
        return
    state = {"running": Vm.ACTIVE, "paused": Vm.PAUSED, "suspended": Vm.SUSPENDED, "stopped": Vm.STOPPED, "crashed": Vm.STOPPED}.get(power)
    if state is not None and row.vm_state not in (Vm.RESIZED, Vm.RESCUED):
        tx.update(servers, id, vm_state=state, power_state=SEEN[power])


def _known(tx: Tx, ids: list[str]) -> set[str]:
    return {row.id for row in tx.all(sa.select(servers.c.id).where(servers.c.id.in_(ids)))}
