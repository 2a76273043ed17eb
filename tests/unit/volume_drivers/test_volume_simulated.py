"""The simulated driver: failures and latencies as the recipe says."""

from __future__ import annotations

import asyncio
import time

import pytest

from cumulet.kernel import ids
from cumulet.kernel.recipe import Trouble
from cumulet.volume.drivers.base import Source, VolumeDriverError
from cumulet.volume.drivers.simulated import Recipe, SimulatedDriver


def test_a_call_takes_as_long_as_the_recipe_says() -> None:
    driver = SimulatedDriver(Recipe(calls={"create": Trouble(latency=0.05)}))
    began = time.monotonic()
    asyncio.run(driver.create(ids.new(), 1, Source()))
    assert time.monotonic() - began >= 0.05


def test_failures_come_as_often_as_the_recipe_says_and_have_no_effect() -> None:
    driver = SimulatedDriver(Recipe(calls={"create": Trouble(chance=0.5)}, seed=1))
    failed = 0
    for _ in range(100):
        try:
            asyncio.run(driver.create(ids.new(), 1, Source()))
        except VolumeDriverError:
            failed += 1
    assert 30 < failed < 70
    assert len(asyncio.run(driver.list())["volumes"]) == 100 - failed


@pytest.mark.parametrize("after", [False, True])
def test_a_failure_comes_before_the_effect_or_after_it(after: bool) -> None:
    volume = ids.new()
    driver = SimulatedDriver(Recipe(calls={"create": Trouble(nth=(1,), after=after, message="no disk spins")}))
    with pytest.raises(VolumeDriverError, match="create: no disk spins"):
        asyncio.run(driver.create(volume, 1, Source()))
    assert asyncio.run(driver.list())["volumes"] == [volume] * after
    asyncio.run(driver.create(volume, 1, Source()))


def test_a_full_back_end_says_how_much_is_free() -> None:
    driver, volume = SimulatedDriver(Recipe(total_gib=10)), ids.new()
    asyncio.run(driver.create(volume, 8, Source()))
    with pytest.raises(VolumeDriverError, match="2 GiB free of 10 GiB"):
        asyncio.run(driver.create(ids.new(), 3, Source()))
    with pytest.raises(VolumeDriverError, match="2 GiB free of 10 GiB"):
        asyncio.run(driver.extend(volume, 11))
    asyncio.run(driver.extend(volume, 10))
    assert asyncio.run(driver.capacity()).free_gib == 0
