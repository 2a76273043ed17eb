"""Bringing back, after the host itself was off, the guests that should run: from what the host knows alone."""

from __future__ import annotations

from pathlib import Path

from ...kernel.log import get_logger
from ..drivers.base import ComputeDriver, DriverError, Power
from ..drivers.qemu.record import load

log = get_logger("agent")


async def revive(driver: ComputeDriver, servers: Path) -> None:
    """Start what should run and does not. `servers`: where each server's record is. One that cannot be started is logged;
    the control plane sees it and says so."""
    for found in await driver.list():
        record = load(servers / found.id) if found.power == Power.CRASHED else None
        if record is None:
            continue
        try:
            await driver.start(record.machine)
            log.info("a guest runs again", server=found.id)
        except DriverError as error:
            log.error("a guest could not be started again", server=found.id, error=str(error))
