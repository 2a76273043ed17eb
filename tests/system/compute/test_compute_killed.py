"""The process that drives QEMU is killed at some instant; the same calls, repeated by the next one, finish the work."""

from __future__ import annotations

import asyncio
import os
import random
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


@pytest.mark.parametrize("seed", range(20))
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


@pytest.mark.parametrize("seed", range(10))
async def test_destroy_alone_clears_whatever_was_begun(world: QemuWorld, seed: int) -> None:
    spec = machine(world, volumes=(world.volume(),), config_drive={"a": "Yg=="})
    await _work_and_die(world, spec, random.Random(seed).uniform(0, ROUND_SECONDS))
    driver = await world.driver()
    await driver.destroy(spec.id)
    assert world.leftovers(spec.id) == []
    assert await driver.list() == []


async def _work_and_die(world: QemuWorld, spec: Machine, seconds: float) -> None:
    """Kill the crasher a while after its first start, which takes the time of importing and probing."""
    argv = (sys.executable, str(CRASHER), str(world.path / "host"), msgspec.json.encode(spec).decode())
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    if seconds > 0.1:
        assert await process.stdout.readline() == b"started\n"
    await asyncio.sleep(seconds)
    assert process.returncode is None
    process.kill()
    await process.wait()
