"""The simulated driver: failures and latencies as the recipe says, books that survive."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import msgspec
import pytest

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, Machine, Power, RootDisk
from cumulet.compute.drivers.simulated import Recipe, SimulatedDriver
from cumulet.kernel.recipe import Trouble


async def hear(id: str, power: Power) -> None:
    """Nobody listens."""


def machine() -> Machine:
    root = RootDisk(id="root", size_gib=3)
    return Machine(id=str(uuid.uuid4()), name="guest-1", generation=1, vcpus=1, memory_mib=64, roots=(root,))


async def outcomes(driver: SimulatedDriver, calls: int) -> list[bool]:
    """Whether each of so many starts of new servers succeeded."""
    await driver.open(hear)
    results = await asyncio.gather(*(driver.start(machine()) for _ in range(calls)), return_exceptions=True)
    return [result is None for result in results]


def test_the_nth_calls_fail() -> None:
    driver = SimulatedDriver("host-1", Recipe(calls={"start": Trouble(nth=(1, 3))}))
    assert asyncio.run(outcomes(driver, 4)) == [False, True, False, True]


def test_every_so_many_calls_one_fails_whatever_host_it_is_on() -> None:
    recipe = Recipe(calls={"start": Trouble(every=3)})
    first, second = SimulatedDriver("host-1", recipe), SimulatedDriver("host-2", recipe)
    assert asyncio.run(outcomes(first, 4)) == [True, True, False, True]
    assert asyncio.run(outcomes(second, 3)) == [True, False, True]
    assert asyncio.run(outcomes(SimulatedDriver("host-1", Recipe(calls=recipe.calls)), 2)) == [True, True]


@pytest.mark.parametrize(("chance", "wanted"), [(0.0, True), (1.0, False)])
def test_calls_fail_by_chance(chance: float, wanted: bool) -> None:
    driver = SimulatedDriver("host-1", Recipe(calls={"*": Trouble(chance=chance)}))
    assert asyncio.run(outcomes(driver, 5)) == [wanted] * 5


@pytest.mark.parametrize("after", [False, True])
def test_a_failure_comes_before_the_work_or_after_it(tmp_path: Path, after: bool) -> None:
    async def scenario() -> int:
        recipe = Recipe(calls={"start": Trouble(nth=(1,), after=after, message="no power")})
        driver = SimulatedDriver("host-1", recipe, root=tmp_path)
        await driver.open(hear)
        with pytest.raises(DriverError, match="start on host-1: no power"):
            await driver.start(machine())
        again = SimulatedDriver("host-1", root=tmp_path)
        await again.open(hear)
        return len(await again.list())

    assert asyncio.run(scenario()) == after


def test_another_process_steers_by_files(tmp_path: Path) -> None:
    recipe, flag = tmp_path / "recipe.json", tmp_path / "flag"
    driver = SimulatedDriver("host-1", Recipe(file=str(recipe)))
    assert asyncio.run(outcomes(driver, 1)) == [True]
    recipe.write_bytes(msgspec.json.encode(Recipe(calls={"start": Trouble(while_file=str(flag))})))
    flag.touch()
    assert asyncio.run(outcomes(SimulatedDriver("host-1", Recipe(file=str(recipe))), 1)) == [False]
    flag.unlink()
    assert asyncio.run(outcomes(SimulatedDriver("host-1", Recipe(file=str(recipe))), 1)) == [True]


def test_a_steering_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver = SimulatedDriver("host-1", Recipe(file=str(tmp_path / "recipe.json")))
        await driver.open(hear)
        with pytest.raises(DriverError, match=r"recipe.json cannot be read: .*strat"):
            await driver.start(machine())

    (tmp_path / "recipe.json").write_text('{"calls": {"strat": {}}}')
    asyncio.run(scenario())


def test_latencies_spread() -> None:
    async def took(driver: SimulatedDriver) -> float:
        began = time.monotonic()
        await driver.start(machine())
        return time.monotonic() - began

    async def scenario() -> list[float]:
        driver = SimulatedDriver("host-1", Recipe(calls={"start": Trouble(latency=0.5, spread=0.4)}, seed=1))
        await driver.open(hear)
        return sorted(await asyncio.gather(*(took(driver) for _ in range(40))))

    times = asyncio.run(scenario())
    assert 0.1 <= times[0] < 0.3 and times[-1] > 0.7, times


def test_latencies_of_different_machines_pass_side_by_side() -> None:
    driver = SimulatedDriver("host-1", Recipe(calls={"start": Trouble(latency=0.1)}))
    began = time.monotonic()
    assert all(asyncio.run(outcomes(driver, 100)))
    assert 0.1 <= time.monotonic() - began < 2


def test_machines_survive_the_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, spec = SimulatedDriver("host-1", root=tmp_path), machine()
        await first.open(hear)
        await first.start(spec)
        await first.suspend(spec.id)
        second, other = SimulatedDriver("host-1", root=tmp_path), SimulatedDriver("host-2", root=tmp_path)
        await second.open(hear)
        await other.open(hear)
        assert [(found.id, found.power) for found in await second.list()] == [(spec.id, Power.SUSPENDED)]
        assert await other.list() == []

    asyncio.run(scenario())


def test_a_host_is_as_large_as_its_recipe() -> None:
    driver = SimulatedDriver("host-1", Recipe(vcpus=2, memory_mib=1024, disk_gib=5))
    resources = asyncio.run(driver.resources())
    assert (resources.vcpus, resources.memory_mib, resources.disk_gib) == (2, 1024, 5)


def test_a_snapshot_has_the_size_of_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        driver, spec = SimulatedDriver("host-1"), machine()
        await driver.open(hear)
        await driver.start(spec)
        await driver.snapshot(spec.id, str(tmp_path / "snapshot"))
        with pytest.raises(DriverError, match="no vnc console"):
            await driver.console_path(spec.id, "vnc")

    asyncio.run(scenario())
    assert qcow2.read(tmp_path / "snapshot") == qcow2.Header(3 << 30, None, None)
