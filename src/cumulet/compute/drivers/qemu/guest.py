"""One live guest: its QEMU process and the monitor we hold to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from cumulet.compute.drivers.base import DriverError, Power
from cumulet.compute.drivers.qemu.qmp import Event, Qmp, QmpError, QmpGone, heard
from cumulet.kernel.held import Process

POWER = {"running": Power.RUNNING, "suspended": Power.RUNNING, "shutdown": Power.STOPPED}
POWER |= {"guest-panicked": Power.CRASHED, "internal-error": Power.CRASHED}
"""QEMU's run states; every other is one in which the processors stand still."""

EVENTS = {"SHUTDOWN": Power.STOPPED, "STOP": Power.PAUSED, "RESUME": Power.RUNNING, "GUEST_PANICKED": Power.CRASHED}
ENDED = {Power.STOPPED, Power.SUSPENDED, Power.CRASHED}

PRESS_SECONDS = 5
"""How often the power button is pressed: a guest that is just booting does not hear the first one."""

QUIT_SECONDS = 3
"""How long QEMU may take to write what it still holds before it is killed."""

MONITOR = "qmp.sock"

OnChange = Callable[["Guest", Power], None]


class Guest:
    """`power` is what the guest does, or was last asked to do: an event that says otherwise is news."""

    def __init__(self, id: str, process: Process, on_change: OnChange):
        self.id, self.process, self.power = id, process, Power.RUNNING
        self._on_change = on_change
        self.qmp: Qmp

    @classmethod
    async def attach(cls, id: str, directory: Path, process: Process, on_change: OnChange) -> Guest:
        """Connect to a QEMU that runs. Raises QmpGone."""
        guest = cls(id, process, on_change)
        guest.qmp = await Qmp.connect(directory / MONITOR, guest._heard, guest._hung_up)
        status = await guest.qmp.execute("query-status")
        guest.power = POWER.get(status["status"], Power.PAUSED)
        return guest

    async def run(self) -> None:
        """Let the processors go on."""
        await self._turn(Power.RUNNING, "cont")

    async def pause(self) -> None:
        """Stop the processors."""
        await self._turn(Power.PAUSED, "stop")

    async def reset(self) -> None:
        """Press the reset button."""
        await self.qmp.execute("system_reset")

    async def shut_down(self, grace: float) -> None:
        """Press the power button and wait at most `grace` seconds for the guest, then end the process."""
        before, self.power = self.power, Power.STOPPED
        try:
            if before == Power.RUNNING and grace > 0:
                with contextlib.suppress(QmpGone):
                    await self._press_until_off(grace)
            await self.end()
        except BaseException:
            self.power = before
            raise

    async def end(self) -> None:
        """End the process, letting QEMU write what it holds if it still answers."""
        if self.power not in ENDED:
            self.power = Power.STOPPED
        with contextlib.suppress(QmpGone, QmpError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await self.qmp.execute("quit")
        if not await self.process.ended(QUIT_SECONDS):
            await self.process.kill()
        self.qmp.close()

    async def kill(self) -> None:
        """Cut the power."""
        self.power = Power.STOPPED
        await self.process.kill()
        self.qmp.close()

    async def job(self, command: str, id: str, arguments: dict) -> None:
        """Run a QEMU job to its end. Raises DriverError with what went wrong."""
        with self.qmp.listen() as events:
            await self.qmp.execute(command, {"job-id": id, **arguments})
            await _concluded(events, id)
        await self._dismiss(id)

    async def cancel_job(self, id: str) -> None:
        """End a job that an earlier process of ours left behind, if there is one."""
        with self.qmp.listen() as events:
            jobs = {job["id"]: job["status"] for job in await self.qmp.execute("query-jobs")}
            if id not in jobs:
                return
            if jobs[id] != "concluded":
                await self.qmp.execute("job-cancel", {"id": id})
                await _concluded(events, id)
        with contextlib.suppress(DriverError):
            await self._dismiss(id)

    async def _dismiss(self, id: str) -> None:
        job = next(job for job in await self.qmp.execute("query-jobs") if job["id"] == id)
        await self.qmp.execute("job-dismiss", {"id": id})
        if "error" in job:
            raise DriverError(f"server {self.id}: {job['error']}")

    async def _turn(self, power: Power, command: str) -> None:
        before, self.power = self.power, power
        try:
            await self.qmp.execute(command)
        except BaseException:
            self.power = before
            raise

    async def _press_until_off(self, grace: float) -> None:
        with self.qmp.listen() as events, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.qmp.execute("system_powerdown")
                while await heard(events, "SHUTDOWN", PRESS_SECONDS) is None:
                    await self.qmp.execute("system_powerdown")

    def _heard(self, event: Event) -> None:
        power = EVENTS.get(event.name)
        if power is None or power == self.power or self.power in ENDED:
            return
        if event.name == "SHUTDOWN" and not event.data["guest"] and event.data["reason"] == "host-qmp-quit":
            return
        self.power = power
        self._on_change(self, power)

    def _hung_up(self) -> None:
        if self.power not in ENDED:
            self.power = Power.CRASHED
            self._on_change(self, Power.CRASHED)


async def _concluded(events: asyncio.Queue[Event], id: str) -> None:
    while await heard(events, "JOB_STATUS_CHANGE", 60, id=id, status="concluded") is None:
        pass
