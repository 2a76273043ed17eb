"""What placement offers the other services, inside their transactions."""

from __future__ import annotations

import pytest

from cumulet import placement
from cumulet.placement import Inventory, NoCapacity

HOST = "55555555-5555-5555-5555-555555555555"


@pytest.fixture
def host(cloud):
    ensure(cloud, VCPU=Inventory(total=4), MEMORY_MB=Inventory(total=1024, reserved=512, allocation_ratio=1.5))
    return HOST


def ensure(cloud, traits=("COMPUTE_NODE",), **inventories: Inventory) -> None:
    cloud.transact(lambda tx: placement.ensure_provider(tx, HOST, "h", inventories, set(traits)))


def state(cloud) -> placement.Provider:
    return cloud.transact(placement.providers)[0]


def claim(cloud, consumer: str, **resources: int) -> None:
    cloud.transact(lambda tx: placement.claim(tx, consumer, HOST, resources, "p", "u"))


def test_ensuring_what_is_so_writes_nothing(cloud, host):
    before = state(cloud)
    ensure(cloud, VCPU=Inventory(total=4), MEMORY_MB=Inventory(total=1024, reserved=512, allocation_ratio=1.5))
    assert state(cloud) == before and before.free("MEMORY_MB") == 768 and before.traits == {"COMPUTE_NODE"}
    ensure(cloud, VCPU=Inventory(total=8))
    assert state(cloud).generation == 1 and set(state(cloud).inventories) == {"VCPU"}


def test_what_operators_added_and_what_is_in_use_stays(cloud, api, host):
    api("PUT", "/traits/CUSTOM_GOLD")
    api("PUT", f"/resource_providers/{host}/traits", {"traits": ["CUSTOM_GOLD"], "resource_provider_generation": 0})
    claim(cloud, "s1", MEMORY_MB=1)
    ensure(cloud, VCPU=Inventory(total=8))
    assert state(cloud).traits == {"COMPUTE_NODE", "CUSTOM_GOLD"} and set(state(cloud).inventories) == {"VCPU", "MEMORY_MB"}


def test_claims_are_counted_moved_and_released(cloud, host):
    claim(cloud, "s1", VCPU=2, MEMORY_MB=100)
    claim(cloud, "s1", VCPU=2, MEMORY_MB=100)
    assert state(cloud).used == {"VCPU": 2, "MEMORY_MB": 100}
    cloud.transact(lambda tx: placement.move(tx, "s1", "m1"))
    cloud.transact(lambda tx: placement.move(tx, "s1", "m1"))
    claim(cloud, "s1", VCPU=1)
    assert cloud.transact(lambda tx: placement.usage(tx, ["s1", "m1", "s2"])) == {
        "s1": {host: {"VCPU": 1}}, "m1": {host: {"VCPU": 2, "MEMORY_MB": 100}},
    }  # fmt: skip
    for consumer in ("m1", "m1", "s1", "never"):
        cloud.transact(lambda tx, consumer=consumer: placement.release(tx, consumer))
    assert state(cloud).used == {} and cloud.transact(lambda tx: placement.usage(tx, ["s1", "m1"])) == {}


def test_a_refused_claim_leaves_all_as_it_was_even_where_the_caller_goes_on(cloud, host):
    claim(cloud, "s1", VCPU=3)

    def try_more(tx):
        with pytest.raises(NoCapacity, match="5 of 4"):
            placement.claim(tx, "s1", HOST, {"VCPU": 5}, "p", "u")
        with pytest.raises(NoCapacity, match="no inventory"):
            placement.claim(tx, "s1", HOST, {"DISK_GB": 5}, "p", "u")
        with pytest.raises(NoCapacity):
            placement.claim(tx, "s2", "no-such-host", {"VCPU": 1}, "p", "u")

    cloud.transact(try_more)
    assert cloud.transact(lambda tx: placement.usage(tx, ["s1", "s2"])) == {"s1": {host: {"VCPU": 3}}}


def test_racing_claims_never_take_more_than_there_is(cloud, host):
    async def race():
        import asyncio

        one = lambda i: cloud.runtime.db.write(lambda tx: placement.claim(tx, f"s{i}", HOST, {"VCPU": 1}, "p", "u"))
        return await asyncio.gather(*(one(i) for i in range(12)), return_exceptions=True)

    results = cloud.portal.call(race)
    assert sum(1 for result in results if result is None) == 4 and state(cloud).used == {"VCPU": 4}
    assert all(result is None or isinstance(result, NoCapacity) for result in results)


def test_a_provider_in_use_is_not_forgotten(cloud, host):
    claim(cloud, "s1", VCPU=1)
    with pytest.raises(Exception, match="has allocations"):
        cloud.transact(lambda tx: placement.forget_provider(tx, HOST))
    cloud.transact(lambda tx: placement.release(tx, "s1"))
    cloud.transact(lambda tx: placement.forget_provider(tx, HOST))
    assert cloud.transact(placement.providers) == []
