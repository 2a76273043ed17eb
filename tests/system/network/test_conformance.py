"""What every network driver does, simulated or real."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from network_scene import EXTERNAL, network, port, router, scene

from cumulet.network.drivers.base import Applied, HostNetwork, NetworkDriverError
from cumulet.network.drivers.simulated import SimulatedDriver

COUNTERS = {f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "drop", "errors")}


def described(generation: int, *numbers: int) -> HostNetwork:
    ports = tuple(port(number) for number in numbers)
    wanted = scene(*ports, networks=(network(*ports), EXTERNAL), routers=(router(("172.24.4.20", "10.0.0.10")),))
    return msgspec.structs.replace(wanted, host="h", generation=generation)


class Subject:
    """A driver, calls to it in the loop that it lives in, and its like after a restart."""

    def __init__(self, driver, run, again):
        self.driver, self.run, self.again = driver, run, again

    def apply(self, generation: int, *numbers: int) -> Applied:
        return self.run(self.driver.apply(described(generation, *numbers)))


@pytest.fixture(params=["simulated", "linux"])
def subject(request, tmp_path):
    if request.param == "simulated":
        with asyncio.Runner() as runner:
            driver = SimulatedDriver(tmp_path)
            runner.run(driver.open())
            yield Subject(driver, runner.run, lambda: SimulatedDriver(tmp_path))
        return
    host = request.getfixturevalue("host")
    yield Subject(host.driver, host.loop.run, host.new_driver)


def test_apply_answers_with_the_generation(subject):
    assert subject.apply(7, 10, 11) == Applied(generation=7)


def test_apply_is_idempotent(subject):
    assert subject.apply(1, 10) == subject.apply(1, 10)


def test_an_older_generation_is_refused_and_the_newer_stays(subject):
    subject.apply(2, 10)
    with pytest.raises(NetworkDriverError, match="older"):
        subject.apply(1)
    assert set(subject.run(subject.driver.port_statistics(port(10).id))) == COUNTERS


def test_a_restarted_driver_goes_on_from_the_last_description(subject):
    subject.apply(5, 10)
    again = subject.again()
    subject.run(again.open())
    with pytest.raises(NetworkDriverError, match="older"):
        subject.run(again.apply(described(4)))
    assert set(subject.run(again.port_statistics(port(10).id))) == COUNTERS


def test_calls_at_the_same_time_end_with_the_newest(subject):
    async def both() -> list:
        calls = (subject.driver.apply(described(number, number)) for number in (11, 10, 12))
        return await asyncio.gather(*calls, return_exceptions=True)

    results = subject.run(both())
    assert results[0] == Applied(generation=11)
    assert isinstance(results[1], NetworkDriverError)
    assert results[2] == Applied(generation=12)


def test_statistics_of_a_port_that_is_not_here(subject):
    subject.apply(1, 10)
    subject.apply(2)
    with pytest.raises(NetworkDriverError, match="no tap"):
        subject.run(subject.driver.port_statistics(port(10).id))


def test_remove_forgets_and_may_be_repeated(subject):
    subject.apply(9, 10)
    subject.run(subject.driver.remove())
    subject.run(subject.driver.remove())
    assert subject.apply(1) == Applied(generation=1)


def test_tap_names_fit_and_differ(subject):
    names = {subject.driver.tap(f"{number:08x}-0000-4000-8000-000000000000") for number in range(500)}
    assert len(names) == 500
    assert max(map(len, names)) <= 15
