from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.network import ipam

V4 = st.builds(lambda n, p: ipaddress.ip_network((n, p), strict=False), st.integers(0, 2**32 - 1), st.integers(1, 32))
V6 = st.builds(lambda n, p: ipaddress.ip_network((n, p), strict=False), st.integers(2**100, 2**128 - 1), st.integers(1, 128))
NETS = st.one_of(V4, V6)


def addresses(pools: list[ipam.Pool]) -> set[int]:
    return {number for first, last in pools for number in range(first, last + 1)}


@given(NETS)
def test_default_pools_have_every_usable_address_but_the_gateway(net):
    gateway = ipam.default_gateway(net)
    pools = ipam.default_pools(net, gateway)
    first, last = ipam.usable(net)
    assert ipam.size(pools) == last - first + 1 - (gateway is not None and first <= int(ipam.address(gateway)) <= last)
    assert gateway is None or ipam.pool_of(gateway, pools) is None
    assert all(ipam.address(ipam.text(edge, net.version)) in net for pool in pools for edge in pool)
    assert ipam.pools(net, [(ipam.text(a, net.version), ipam.text(b, net.version)) for a, b in pools]) == pools


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 20)), min_size=1, max_size=6),
    st.integers(0, 400),
    st.randoms(),
)
@settings(max_examples=60)
def test_allocation_hands_out_each_address_once_until_none_is_left(spans, count, choose: random.Random):
    pools, at = [], 10
    for gap, length in spans:
        pools.append((at + gap, at + gap + length))
        at += gap + length + 1
    taken: set[str] = set()
    for _ in range(count):
        some = [one for one in ipam.candidates(pools, 4, choose) if one not in taken]
        address = some[0] if some else ipam.first_free(pools, 4, taken)
        if address is None:
            break
        assert address not in taken and int(ipam.address(address)) in addresses(pools)
        taken.add(address)
    assert len(taken) == min(count, ipam.size(pools))


def test_the_lowest_free_address_is_found_without_walking_a_large_pool():
    net = ipam.network("fd00::/64")
    pools = ipam.default_pools(net, "fd00::1")
    assert ipam.first_free(pools, 6, {"fd00::2", "fd00::4"}) == "fd00::3"
    assert ipam.first_free([(1, 3)], 4, {"0.0.0.1", "0.0.0.2", "0.0.0.3"}) is None


@given(st.integers(0, 2**48 - 1), V6)
def test_automatic_addresses_are_those_of_the_prefix_with_the_mac_in_them(number, net):
    mac = ":".join(f"{octet:02x}" for octet in number.to_bytes(6))
    wide = ipaddress.ip_network((int(net[0]) >> 64 << 64, 64))
    address = ipaddress.ip_address(ipam.eui64(wide, mac))
    assert address in wide
    host = int(address) & (2**64 - 1)
    assert host >> 24 & 0xFFFF == 0xFFFE and host & 0xFFFFFF == number & 0xFFFFFF and host >> 40 ^ 0x020000 == number >> 24


def test_the_example_of_rfc_4291():
    assert ipam.eui64(ipam.network("2001:db8::/64"), "34:56:78:9a:bc:de") == "2001:db8::3656:78ff:fe9a:bcde"


@pytest.mark.parametrize(("cidr", "first", "last"), [
    ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"), ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
    ("10.0.0.4/31", "10.0.0.4", "10.0.0.5"), ("10.0.0.7/32", "10.0.0.7", "10.0.0.7"),
    ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"), ("fd00::2/127", "fd00::2", "fd00::3"),
])  # fmt: skip
def test_usable_addresses(cidr, first, last):
    net = ipam.network(cidr)
    assert [ipam.text(number, net.version) for number in ipam.usable(net)] == [first, last]


@pytest.mark.parametrize(("wanted", "kind"), [
    ([("10.0.0.9", "10.0.0.8")], "InvalidAllocationPool"),
    ([("10.0.0.0", "10.0.0.8")], "OutOfBoundsAllocationPool"),
    ([("10.0.0.250", "10.0.1.2")], "OutOfBoundsAllocationPool"),
    ([("10.0.0.2", "10.0.0.9"), ("10.0.0.9", "10.0.0.12")], "OverlappingAllocationPools"),
    ([("fd00::1", "fd00::2")], "InvalidInput"),
    ([("10.0.0.x", "10.0.0.9")], "InvalidInput"),
])  # fmt: skip
def test_bad_pools_are_refused(wanted, kind):
    with pytest.raises(ipam.Problem) as refused:
        ipam.pools(ipam.network("10.0.0.0/24"), wanted)
    assert refused.value.kind == kind


@given(st.lists(st.integers(9, 16), min_size=1, max_size=40), st.randoms())
@settings(max_examples=60)
def test_prefixes_cut_out_of_a_pool_never_overlap(lengths, choose: random.Random):
    prefixes = ["10.0.0.0/10", "10.128.0.0/12"]
    taken: list[str] = []
    for length in lengths:
        room = ipam.room(prefixes, taken, length)
        if room is None:
            continue
        net = ipam.network(room)
        assert net.prefixlen == length and ipam.within(prefixes, net)
        assert not any(net.overlaps(ipam.network(one)) for one in taken)
        taken.append(room)
        if choose.random() < 0.3:
            taken.remove(choose.choice(taken))


def test_a_pool_is_used_up_to_its_last_prefix():
    taken: list[str] = []
    while room := ipam.room(["10.0.0.0/24", "10.2.0.0/25"], taken, 26):
        taken.append(room)
    assert len(taken) == 6 and ipam.room(["10.0.0.0/24"], [], 20) is None


@given(st.lists(V4, min_size=1, max_size=8))
def test_merging_prefixes_keeps_their_addresses(nets):
    merged = [ipaddress.ip_network(one) for one in ipam.merged(map(str, nets))]
    assert all(ipam.within(map(str, merged), net) for net in nets)
    assert not any(a.overlaps(b) for i, a in enumerate(merged) for b in merged[:i])
