"""The process that drives QEMU is killed at some instant; the same calls, repeated by the next one, finish the work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from compute_conformance import machine, power_of
from compute_world import QemuWorld, qemu_world

from cumulet.compute.drivers.base import Machine, Power
from cumulet.kernel.process import run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="control groups and changing the user need root"),
]
CRASHER = Path(__file__).with_name("compute_crasher.py")
ROUND_SECONDS = 0.6
"""About as long as the crasher takes for all its calls once."""


@pytest.fixture
async def world() -> AsyncIterator[QemuWorld]:
    with qemu_world() as made:
        yield made
        await made.clear()


@pytest.mark.parametrize("seed", range(14))
async def test_work_is_finished_by_repeating_it(world: QemuWorld, seed: int) -> None:
    spec = machine(world, volumes=(world.volume(),), config_drive={"a": "Yg=="})
    await _work_and_die(world, spec, random.Random(seed).uniform(0, ROUND_SECONDS))
    driver = await world.driver()
    await driver.start(spec)
    await driver.update(spec)
    assert (await driver.statistics(spec.id)).disks.keys() == {"root", spec.volumes[0].id}
    await driver.suspend(spec.id)
    await driver.resume(spec.id)
    assert await power_of(driver, spec.id) == Power.RUNNING
    await driver.snapshot(spec.id, str(world.path / "host/snapshot"))
    await run("qemu-img", "check", "-q", str(world.path / "host/snapshot"))
    await driver.stop(spec.id, 0)
    await run("qemu-img", "check", "-q", str(world.path / f"host/servers/{spec.id}/root.0.qcow2"))
    await driver.destroy(spec.id)
    assert world.leftovers(spec.id) == []


@pytest.mark.parametrize("seed", range(8))
async def test_destroy_alone_clears_whatever_was_begun(world: QemuWorld, seed: int) -> None:
    spec = machine(world, volumes=(world.volume(),), config_drive={"a": "Yg=="})
    await _work_and_die(world, spec, random.Random(seed).uniform(0, ROUND_SECONDS))
    driver = await world.driver()
    await driver.destroy(spec.id)
    assert world.leftovers(spec.id) == []
    assert await driver.list() == []


@pytest.mark.parametrize("instant", ["forked", "ready"])
async def test_destroy_ends_what_was_not_even_qemu_yet(world: QemuWorld, instant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulet.compute.drivers.qemu.qmp.GREETING_SECONDS", 0.2)
    spec = machine(world)
    await _die_beside_a_stopped_child(world, spec, instant)
    assert any(left.startswith("process") for left in world.leftovers(spec.id))
    driver = await world.driver()
    await driver.destroy(spec.id)
    assert world.leftovers(spec.id) == []


@pytest.mark.parametrize("instant", ["forked", "ready"])
async def test_start_goes_on_with_what_was_not_even_qemu_yet(world: QemuWorld, instant: str) -> None:
    spec = machine(world)
    child = await _die_beside_a_stopped_child(world, spec, instant)
    os.kill(child, signal.SIGCONT)
    driver = await world.driver()
    await driver.start(spec)
    assert await power_of(driver, spec.id) == Power.RUNNING
    assert world.processes()[spec.id].pid == child


async def _work_and_die(world: QemuWorld, spec: Machine, seconds: float) -> None:
    """Kill the crasher a while after its first start, which takes the time of importing and probing."""
    process = await asyncio.create_subprocess_exec(*_crasher(world, spec), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    if seconds > 0.1:
        assert await process.stdout.readline() == b"started\n"
    await asyncio.sleep(seconds)
    assert process.returncode is None
    process.kill()
    await process.wait()


async def _die_beside_a_stopped_child(world: QemuWorld, spec: Machine, instant: str) -> int:
    """Kill the crasher when its process for the guest has stopped at an instant of its start; returns that process' id."""
    process = await asyncio.create_subprocess_exec(*_crasher(world, spec), instant)
    async with asyncio.timeout(20):
        while not (child := _stopped_child(process.pid)):
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    return child


def _stopped_child(pid: int) -> int | None:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            if Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0] == "T":
                return int(child)
    return None


def _crasher(world: QemuWorld, spec: Machine) -> tuple[str, ...]:
    return sys.executable, str(CRASHER), str(world.path / "host"), msgspec.json.encode(spec).decode()
