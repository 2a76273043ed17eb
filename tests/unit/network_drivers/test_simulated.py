"""What the simulated driver does beyond what every driver does."""

from __future__ import annotations

import asyncio
import time

import pytest

from cumulet.kernel.recipe import Trouble
from cumulet.network.drivers.base import HostNetwork, Network, NetworkDriverError, Port
from cumulet.network.drivers.simulated import Recipe, SimulatedDriver


def description(generation: int, *ports: str) -> HostNetwork:
    made = tuple(Port(id=id, network_id="net", mac="fa:16:3e:00:00:01", fixed_ips=()) for id in ports)
    networks = (Network(id="net", kind="local", mtu=1500),)
    return HostNetwork(host="h", generation=generation, networks=networks, ports=made)


def test_a_recipe_lets_some_parts_fail():
    driver = SimulatedDriver(recipe=Recipe(failing=frozenset({"bad"})))
    applied = asyncio.run(driver.apply(description(1, "good", "bad")))
    assert set(applied.failed) == {"bad"}
    with pytest.raises(NetworkDriverError):
        asyncio.run(driver.port_statistics("bad"))


def test_a_call_that_fails_changes_nothing():
    driver = SimulatedDriver(recipe=Recipe(calls={"apply": Trouble(chance=1)}))
    with pytest.raises(NetworkDriverError):
        asyncio.run(driver.apply(description(1, "p")))
    assert driver.wanted is None


def test_failures_come_as_often_as_the_recipe_says_and_alike_each_time():
    async def outcomes() -> list[bool]:
        driver = SimulatedDriver(recipe=Recipe(calls={"apply": Trouble(chance=0.3)}, seed=5))
        results = await asyncio.gather(*(driver.apply(description(1)) for _ in range(500)), return_exceptions=True)
        return [isinstance(result, NetworkDriverError) for result in results]

    first = asyncio.run(outcomes())
    assert first == asyncio.run(outcomes())
    assert 0.2 < sum(first) / len(first) < 0.4


def test_latency_is_waited_without_holding_others_up():
    async def many() -> None:
        drivers = [SimulatedDriver(recipe=Recipe(calls={"apply": Trouble(latency=0.05)})) for _ in range(1000)]
        await asyncio.gather(*(driver.apply(description(1, "p")) for driver in drivers))

    start = time.monotonic()
    asyncio.run(many())
    assert 0.05 <= time.monotonic() - start < 5


def test_the_description_is_on_disk_where_there_is_a_directory(tmp_path):
    async def twice() -> HostNetwork | None:
        await SimulatedDriver(tmp_path).apply(description(3, "p"))
        again = SimulatedDriver(tmp_path)
        await again.open()
        return again.wanted

    assert asyncio.run(twice()) == description(3, "p")
