"""Steps that many workflows share: a server's power off, and on again as its rows now say."""

from __future__ import annotations

from ... import image
from ...image.drivers.base import GRACE
from ...kernel.db import Row
from ...kernel.work import Saga, StepFailed, step
from ..drivers.base import Machine
from ..servers.tables import servers
from .machine import describe
from .tell import tell

POWER_TIMEOUT = 120.0
"""Seconds that a host has beyond the guest's own grace."""


async def server(saga: Saga) -> Row:
    """The row of the saga's server. Raises StepFailed where it is gone."""
    row = await saga.runtime.db.read(lambda tx: tx.get(servers, id=saga.subject))
    if row is None:
        raise StepFailed(f"Instance {saga.subject} could not be found.")
    return row


async def power_off(saga: Saga, grace: float | None = None) -> None:
    """Shut the guest down; it has `grace` seconds for it, the configured ones by default."""
    row = await server(saga)
    wait = saga.runtime.config.stop_grace_seconds if grace is None else grace
    await saga.call(row.host, "compute.stop", timeout=wait + POWER_TIMEOUT, id=row.id, grace=wait)


async def have_images(saga: Saga, host: str, machine: Machine) -> None:
    """See to it that the host has the images of what it is yet to make for a server."""
    disks = machine.roots + machine.boots
    if not any(disk.image for disk in disks):
        return
    wanted = [disk.source for disk in disks if disk.source is not None]
    arguments = lambda: {"machine": machine, "origins": {one.id: image.origin(saga.runtime, one) for one in wanted}}
    await image.bring(saga.runtime, host, "compute.images", arguments, sum(one.seconds for one in wanted) + GRACE)


async def power_on(saga: Saga, *, stopped: bool = False) -> None:
    """Run the server as its rows now say, and serve its guest what it may read of itself. stopped: it stays off."""
    row = await server(saga)
    await tell(saga)
    machine = await saga.runtime.db.read(lambda tx: describe(tx, saga.runtime, row.id, saga.generation, running=not stopped))
    if not stopped:
        await have_images(saga, row.host, machine)
    await saga.call(row.host, "compute.update" if stopped else "compute.start", timeout=POWER_TIMEOUT, machine=machine)


@step
async def stop(saga: Saga) -> None:
    """A saga's first step, whose state says whether the server was `stopped` before: what it is again where this is undone."""
    await power_off(saga)


@stop.undo
async def undo_stop(saga: Saga) -> None:
    await power_on(saga, stopped=saga.state["stopped"])
