"""What every compute driver must do: the suite that each driver's tests inherit.

A subclass gives the fixture `world`, a `World`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import (
    ComputeDriver,
    DriverError,
    Machine,
    Nic,
    NoSuchMachine,
    Power,
    RootDisk,
    Throttle,
    VolumeDisk,
)
from cumulet.image.drivers.base import ImageSource
from cumulet.kernel.process import run

GIB = 1 << 30


class World(Protocol):
    """A host to test on. `heard` is what the power watcher was told."""

    path: Path
    heard: list[tuple[str, Power]]

    async def driver(self) -> ComputeDriver:
        """An open driver of this host; one that was open before is let go of."""

    def image(self) -> Path:
        """A raw bootable image of 1 MiB."""

    def volume(self) -> VolumeDisk: ...
    def nic(self) -> Nic: ...
    def leftovers(self, id: str) -> list[str]:
        """Files, processes and control groups that the host has of a server."""

    async def crash(self, id: str) -> None:
        """Let the guest die without anybody asking for it."""

    async def power_off(self, id: str) -> None:
        """Let the guest switch itself off."""


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for a condition of the outer world."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


def machine(world: World, **changes: object) -> Machine:
    """A small server that boots from the world's image."""
    root = RootDisk(id="root", size_gib=1, image="image-1", source=ImageSource(id="image-1", path=str(world.image())))
    whole = Machine(id=str(uuid.uuid4()), name="guest-1", generation=1, vcpus=1, memory_mib=64, roots=(root,))
    return msgspec.structs.replace(whole, **changes)


async def power_of(driver: ComputeDriver, id: str) -> Power | None:
    return next((found.power for found in await driver.list() if found.id == id), None)


async def booted(driver: ComputeDriver, id: str, times: int = 1) -> None:
    """Wait until the guest has said that it booted."""

    async def said() -> bool:
        return f"boot {times}" in await driver.console_log(id, None)

    await until(said)


class Conformance:
    """The tests."""

    pytestmark = pytest.mark.anyio

    async def test_starts_stops_and_starts_again_with_its_disk(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        assert await power_of(driver, spec.id) == Power.RUNNING
        await driver.stop(spec.id, 10)
        assert await power_of(driver, spec.id) == Power.STOPPED
        await driver.start(spec)
        await booted(driver, spec.id, 2)
        assert world.heard == []

    async def test_every_call_can_be_repeated(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        for call in (driver.start(spec), driver.start(spec)):
            await call
        await booted(driver, spec.id)
        for name in ("pause", "pause", "unpause", "unpause", "suspend", "suspend", "resume", "resume"):
            await getattr(driver, name)(spec.id)
        assert await power_of(driver, spec.id) == Power.RUNNING
        for _ in range(2):
            await driver.update(spec)
            await driver.stop(spec.id, 0)
        for _ in range(2):
            await driver.destroy(spec.id)
        assert await driver.list() == []

    async def test_unknown_machines(self, world: World) -> None:
        driver, id = await world.driver(), str(uuid.uuid4())
        for call in (driver.stop(id, 1), driver.pause(id), driver.suspend(id), driver.console_log(id, 1)):
            with pytest.raises(NoSuchMachine, match=id):
                await call
        await driver.destroy(id)

    async def test_what_needs_a_running_guest_says_so(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await driver.stop(spec.id, 0)
        for call in (
            driver.pause(spec.id),
            driver.suspend(spec.id),
            driver.resume(spec.id),
            driver.statistics(spec.id),
        ):
            with pytest.raises(DriverError, match=r"is not (running|suspended)"):
                await call

    async def test_reboots_soft_and_hard(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        await driver.reboot(spec, hard=False)
        await booted(driver, spec.id, 2)
        newer = msgspec.structs.replace(spec, generation=2)
        await driver.reboot(newer, hard=True)
        await booted(driver, spec.id, 3)
        assert [(found.power, found.generation) for found in await driver.list()] == [(Power.RUNNING, 2)]

    async def test_pauses(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await driver.pause(spec.id)
        assert await power_of(driver, spec.id) == Power.PAUSED
        await driver.unpause(spec.id)
        assert await power_of(driver, spec.id) == Power.RUNNING
        assert world.heard == []

    async def test_suspends_and_resumes_without_a_boot(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        await driver.suspend(spec.id)
        assert await power_of(driver, spec.id) == Power.SUSPENDED
        await driver.start(spec)
        assert await power_of(driver, spec.id) == Power.RUNNING
        assert "boot 2" not in await driver.console_log(spec.id, None)
        await driver.suspend(spec.id)
        await driver.stop(spec.id, 0)
        assert await power_of(driver, spec.id) == Power.STOPPED
        assert world.heard == []

    async def test_volumes_and_cards_come_and_go(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        volume, nic = world.volume(), world.nic()
        more = msgspec.structs.replace(spec, volumes=(volume,), nics=(nic,), generation=2)
        await driver.update(more)
        used = await driver.statistics(spec.id)
        assert used.disks.keys() == {"root", volume.id} and used.nics.keys() == {nic.port_id}
        limited = msgspec.structs.replace(volume, throttle=Throttle(total_bytes=1 << 20))
        await driver.update(msgspec.structs.replace(more, volumes=(limited,), generation=3))
        await driver.update(msgspec.structs.replace(spec, generation=4))
        used = await driver.statistics(spec.id)
        assert used.disks.keys() == {"root"} and used.nics == {}
        assert (await driver.list())[0].generation == 4

    async def test_plugged_devices_survive_suspend_and_stop(self, world: World) -> None:
        driver, first, second = await world.driver(), world.volume(), world.volume()
        spec = machine(world, volumes=(first,))
        await driver.start(spec)
        await booted(driver, spec.id)
        await driver.update(msgspec.structs.replace(spec, volumes=(second,)))
        await driver.suspend(spec.id)
        await driver.resume(spec.id)
        assert (await driver.statistics(spec.id)).disks.keys() == {"root", second.id}
        await driver.stop(spec.id, 0)
        await driver.update(msgspec.structs.replace(spec, volumes=(first, second)))
        await driver.start(msgspec.structs.replace(spec, volumes=(first, second)))
        assert (await driver.statistics(spec.id)).disks.keys() == {"root", first.id, second.id}

    async def test_an_update_leaves_a_stopped_server_stopped(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await driver.stop(spec.id, 0)
        await driver.update(msgspec.structs.replace(spec, generation=5))
        found = (await driver.list())[0]
        assert (found.power, found.generation) == (Power.STOPPED, 5)

    @pytest.mark.parametrize("stopped", [False, True])
    async def test_a_snapshot_stands_alone(self, world: World, stopped: bool) -> None:
        driver, spec, path = await world.driver(), machine(world), world.path / "snapshot.qcow2"
        await driver.start(spec)
        await booted(driver, spec.id)
        if stopped:
            await driver.stop(spec.id, 0)
        for _ in range(2):
            await driver.snapshot(spec.id, str(path))
        assert qcow2.read(path) == qcow2.Header(GIB, None, None)
        assert json.loads(await run("qemu-img", "check", "--output=json", str(path)))["check-errors"] == 0
        assert list(world.path.glob("snapshot.qcow2.part")) == []
        assert await power_of(driver, spec.id) == (Power.STOPPED if stopped else Power.RUNNING)

    async def test_destroy_leaves_nothing(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world, volumes=(world.volume(),), config_drive={"a": "Yg=="})
        await driver.start(spec)
        assert world.leftovers(spec.id)
        await driver.destroy(spec.id)
        assert world.leftovers(spec.id) == []
        assert await driver.list() == []

    async def test_guests_outlive_the_driver(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world, generation=7)
        await driver.start(spec)
        await booted(driver, spec.id)
        again = await world.driver()
        assert [(found.id, found.power, found.generation) for found in await again.list()] == [(spec.id, Power.RUNNING, 7)]
        await again.reboot(spec, hard=False)
        await booted(again, spec.id, 2)
        await again.destroy(spec.id)
        assert world.leftovers(spec.id) == []

    async def test_the_watcher_hears_of_a_guest_that_switches_itself_off(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        await world.power_off(spec.id)
        await until(lambda: _is(world.heard == [(spec.id, Power.STOPPED)]))
        assert await power_of(driver, spec.id) == Power.STOPPED

    async def test_the_watcher_hears_of_a_crash(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await world.crash(spec.id)
        await until(lambda: _is(world.heard == [(spec.id, Power.CRASHED)]))
        assert await power_of(driver, spec.id) == Power.CRASHED
        await driver.start(spec)
        assert await power_of(driver, spec.id) == Power.RUNNING

    async def test_console_log_has_the_last_lines(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world)
        await driver.start(spec)
        await booted(driver, spec.id)
        whole = await driver.console_log(spec.id, None)
        assert await driver.console_log(spec.id, 1) == whole.splitlines(keepends=True)[-1]
        assert await driver.console_log(spec.id, 0) == ""

    async def test_statistics(self, world: World) -> None:
        driver, spec = await world.driver(), machine(world, nics=(world.nic(),))
        await driver.start(spec)
        used = await driver.statistics(spec.id)
        assert used.memory_mib == 64 and used.uptime >= 0
        assert used.disks["root"].keys() == {"read_bytes", "read_requests", "write_bytes", "write_requests", "errors"}
        names = ("octets", "packets", "drop", "errors")
        assert used.nics[spec.nics[0].port_id].keys() == {f"{way}_{name}" for way in ("rx", "tx") for name in names}

    async def test_resources(self, world: World) -> None:
        resources = await (await world.driver()).resources()
        assert min(resources.vcpus, resources.memory_mib, resources.disk_gib) > 0
        assert resources.hypervisor_hostname == "host-1"


async def _is(value: bool) -> bool:
    return value
