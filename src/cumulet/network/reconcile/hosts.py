"""Keeping every host's network as the rows say it should be."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import typing as t

import sqlalchemy as sa

from ...kernel.bus.base import AgentError
from ...kernel.db import Row, Tx
from ...kernel.log import get_logger
from ...kernel.runtime import Runtime
from ...kernel.work import Reconciler, StepFailed
from ..hosts import live_hosts
from ..ports.servers import OWNER
from ..tables import port_security_groups, ports
from .rounds import rounds_of

log = get_logger("network")
PATIENCE = 2.0
"""Seconds that a round of all hosts waits for one that does not answer; after that it waits for it no more."""
BACK_OFF_MOST = 60.0


async def realize(runtime: Runtime, host: str, device_id: str | None = None) -> None:
    """Return once `host` has everything that was committed before this call.

    device_id: whose ports must have been made; without it, everything on the host must.
    Raises StepFailed with the host's reasons where that is not so, AgentError where the host did not answer.
    """
    failed = await rounds_of(runtime).run(host)
    if failed and device_id is not None:
        needed = await runtime.db.read(lambda tx: _needed(tx, device_id))
        failed = {id: why for id, why in failed.items() if id in needed}
    if failed:
        raise StepFailed(f"The network of host {host}: " + "; ".join(f"{id}: {why}" for id, why in sorted(failed.items())))


def _needed(tx: Tx, device_id: str) -> set[str]:
    """The server's ports, their networks and groups."""
    g = port_security_groups.c
    parts = sa.select(ports.c.id, ports.c.network_id, g.security_group_id).outerjoin(port_security_groups, g.port_id == ports.c.id)
    return {id for row in tx.all(parts.where(ports.c.device_id == device_id, ports.c.device_owner == OWNER)) for id in row}


class PutOff(t.NamedTuple):
    """A host that did not take its description: how often by now, since which hello, until when it is let be."""

    times: int
    hello: dt.datetime
    until: float


class HostNetworks(Reconciler):
    """Brings every live host to its description, all at once. One that takes none is tried again ever more seldom, or
    when its agent has started anew; one on which only parts fail goes on getting every change."""

    name = "network-hosts"
    interval = 30.0
    nudged_by = ("network",)

    def __init__(self, runtime: Runtime):
        super().__init__(runtime)
        self._put_off: dict[str, PutOff] = {}
        self._told: dict[str, dict[str, str]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run_once(self) -> None:
        hosts = await self.runtime.db.read(live_hosts)
        busy = [task.get_name() for task in self._running]
        # of a host's two rounds the second has not begun, and will see whatever this one would
        started = [self._start(row) for row in hosts if self._due(row) and busy.count(row.host) < 2]
        prompt = [task for task in started if task.get_name() not in busy]
        if prompt:
            await asyncio.wait(prompt, timeout=PATIENCE)

    def _due(self, row: Row) -> bool:
        put_off = self._put_off.get(row.host)
        return put_off is None or put_off.hello != row.said_hello or time.monotonic() >= put_off.until

    def _start(self, row: Row) -> asyncio.Task[None]:
        task = asyncio.create_task(self._bring(row), name=row.host)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _bring(self, row: Row) -> None:
        try:
            failed = await rounds_of(self.runtime).run(row.host)
        except AgentError as error:
            log.warning("a host did not take its network's description", host=row.host, error=str(error))
            self._later(row)
        except Exception:
            log.exception("a host's network could not be reconciled", host=row.host)
            self._later(row)
        else:
            self._put_off.pop(row.host, None)
            self._tell(row.host, failed)

    def _later(self, row: Row) -> None:
        times = self._put_off[row.host].times + 1 if row.host in self._put_off else 1
        self._put_off[row.host] = PutOff(times, row.said_hello, time.monotonic() + min(2.0 ** min(times, 6), BACK_OFF_MOST))

    def _tell(self, host: str, failed: dict[str, str]) -> None:
        """Log what fails on a host, once until it is something else."""
        if failed and failed != self._told.get(host):
            log.warning("parts of a host's network could not be made", host=host, failed=failed)
        self._told[host] = failed
