"""Routers, floating IPs, and hosts joined by VXLAN."""

from __future__ import annotations

import msgspec
import pytest
from network_scene import (
    EXTERNAL,
    V4,
    connect,
    network,
    pings,
    port,
    router,
    says,
    scene,
    still_echoes,
)

from cumulet.network.drivers.base import Group, Rule, Subnet


def test_a_guest_goes_out_and_is_seen_as_its_router(host, guests, echoes):
    one = port(10)
    assert host.apply(scene(one, routers=(router(),))) == {}
    guest = guests(host, one)
    guest.lease()
    server = echoes(host.name, 80)
    assert guest.pings("172.24.4.1")
    assert says(guest.name, "172.24.4.1", 80) == b"hello"
    assert server.peer[0] == "172.24.4.10"


def test_a_floating_ip_works_both_ways(host, guests, echoes):
    one = port(10)
    host.apply(scene(one, routers=(router(("172.24.4.20", "10.0.0.10")),)))
    guest = guests(host, one, "10.0.0.10/24")
    echoes(guest.name, 22, b"guest")
    server = echoes(host.name, 80)
    assert says(host.name, "172.24.4.20", 22) == b"guest"
    assert says(guest.name, "172.24.4.1", 80) == b"hello"
    assert server.peer[0] == "172.24.4.20"


def test_guests_of_one_subnet_reach_each_other_by_floating_ip(host, guests, echoes):
    one, two = port(10), port(11)
    host.apply(scene(one, two, routers=(router(("172.24.4.20", "10.0.0.10"), ("172.24.4.21", "10.0.0.11")),)))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    server = echoes(second.name, 80, b"second")
    assert says(first.name, "172.24.4.21", 80) == b"second"
    assert server.peer[0] == "172.24.4.20"
    own = echoes(first.name, 81, b"first")
    assert says(first.name, "172.24.4.20", 81) == b"first"
    assert own.peer[0] == "172.24.4.20"


def test_a_floating_ip_moves_to_another_guest(host, guests, echoes):
    one, two = port(10), port(11)
    host.apply(scene(one, two, routers=(router(("172.24.4.20", "10.0.0.10")),)))
    for each, name in ((one, b"first"), (two, b"second")):
        echoes(guests(host, each, f"{each.fixed_ips[0].address}/24").name, 22, name)
    session = connect(host.name, "172.24.4.20", 22)
    assert session and session.recv(9) == b"first"
    with session:
        host.apply(scene(one, two, routers=(router(("172.24.4.20", "10.0.0.11")),)))
        assert says(host.name, "172.24.4.20", 22) == b"second"
        assert not still_echoes(session)
        host.apply(scene(one, two, routers=(router(),)))
        assert says(host.name, "172.24.4.20", 22) is None


def test_a_floating_ip_moves_to_another_router_at_once(host, guests, echoes):
    one = port(10)
    two = port(11, network="other", subnet="o4", address="10.1.0.11")
    subnet = Subnet(id="o4", cidr="10.1.0.0/24", ip_version=4, gateway="10.1.0.1")
    networks = (network(one), network(two, id="other", subnets=(subnet,), server="10.1.0.2"), EXTERNAL)
    legs = (("other", "o4", "10.1.0.1"),)

    def apply(here=(), there=()) -> None:
        routers = (router(*here), router(*there, id="second", address="172.24.4.11", number=800, legs=legs))
        assert host.apply(scene(one, two, networks=networks, routers=routers)) == {}

    apply(here=[("172.24.4.20", "10.0.0.10")])
    echoes(guests(host, one, "10.0.0.10/24").name, 22, b"first")
    echoes(guests(host, two, "10.1.0.11/24", "10.1.0.1").name, 22, b"second")
    assert says(host.name, "172.24.4.20", 22) == b"first"
    apply(there=[("172.24.4.20", "10.1.0.11")])
    assert says(host.name, "172.24.4.20", 22) == b"second"


def test_two_networks_behind_one_router_and_an_extra_route(host, guests):
    one = port(10)
    two = port(11, network="other", subnet="o4", address="10.1.0.11", port_security=False)
    subnet = Subnet(id="o4", cidr="10.1.0.0/24", ip_version=4, gateway="10.1.0.1")
    networks = (network(one), network(two, id="other", subnets=(subnet,), server="10.1.0.2"), EXTERNAL)
    joining = router(legs=(("net", "s4", "10.0.0.1"), ("other", "o4", "10.1.0.1")))
    joining = msgspec.structs.replace(joining, routes=(("10.77.0.0/16", "10.1.0.11"),))
    host.apply(scene(one, two, networks=networks, routers=(joining,)))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.1.0.11/24", "10.1.0.1")
    second.run("ip", "addr", "add", "10.77.0.1/32", "dev", "lo", check=True)
    assert first.pings("10.1.0.11")
    assert first.pings("10.77.0.1")
    host.apply(scene(one, two, networks=networks, routers=(msgspec.structs.replace(joining, routes=()),)))
    assert not first.pings("10.77.0.1", 1)


@pytest.mark.parametrize("change", [{"up": False}, {"snat": False}, {"gateway": None}])
def test_a_router_without_a_way_out(host, guests, change):
    one = port(10)
    host.apply(scene(one, routers=(router(),)))
    guest = guests(host, one, "10.0.0.10/24")
    assert guest.pings("172.24.4.1")
    assert host.apply(scene(one, routers=(msgspec.structs.replace(router(), **change),))) == {}
    assert not guest.pings("172.24.4.1", 1)


def test_a_guest_on_the_physical_network_is_guarded_from_the_machine_too(host, guests, echoes):
    one = port(10, network="external", subnet="public4", address="172.24.4.30", groups=("ssh",))
    host.apply(scene(one, networks=(EXTERNAL,), groups=ssh_group()))
    guest = guests(host, one, "172.24.4.30/24", None)
    echoes(guest.name, 22)
    echoes(guest.name, 23)
    assert says(host.name, "172.24.4.30", 22) == b"hello"
    assert says(host.name, "172.24.4.30", 23) is None


def ssh_group():
    ssh = Rule(direction="ingress", ethertype="IPv4", protocol="tcp", port_min=22, port_max=22)
    return (Group(id="ssh", rules=(ssh,), members=()),)


def test_a_router_on_an_unknown_network_is_told_and_harms_no_one(host, guests):
    one = port(10)
    lost = router(id="lost", number=800, legs=(("nowhere", "s4", "10.0.0.1"),))
    failed = host.apply(scene(one, routers=(lost, router())))
    assert set(failed) == {"lost"} and "nowhere" in failed["lost"]
    assert guests(host, one, "10.0.0.10/24").pings("172.24.4.1")


@pytest.fixture
def joined(hosts):
    """Two hosts on a wire of their own, 192.0.2.1 and .2."""
    first, second = (hosts(f"h{n}", tunnel_ip=f"192.0.2.{n}") for n in (1, 2))
    peer = ("peer", "name", "wire", "netns", second.name)
    first.run("ip", "link", "add", "wire", "type", "veth", *peer, check=True)
    for number, each in enumerate((first, second), 1):
        each.run("ip", "addr", "add", f"192.0.2.{number}/24", "dev", "wire", check=True)
        each.run("ip", "link", "set", "wire", "mtu", "1500", "up", check=True)
        each.open()
    return first, second


def test_a_network_spans_hosts(joined, guests):
    one, two = port(10), port(11)
    near, far = joined
    subnets = (V4,)
    tunnel = {"kind": "vxlan", "segment": 77}
    here = network(one, two, subnets=subnets, peers=("192.0.2.2",), **tunnel)
    there = network(subnets=subnets, dhcp=False, peers=("192.0.2.1",), **tunnel)
    assert near.apply(scene(one, networks=(here, EXTERNAL), routers=(router(("172.24.4.20", "10.0.0.11")),))) == {}
    assert far.apply(scene(two, networks=(there,))) == {}
    first, second = guests(near, one, "10.0.0.10/24"), guests(far, two)
    assert second.lease()
    assert second.pings("10.0.0.10")
    assert pings(near.name, "172.24.4.20")
    assert first.run("busybox", "ping", "-c1", "-W2", "-s", "1400", "10.0.0.11").returncode == 0
    assert far.apply(scene(two, networks=(msgspec.structs.replace(there, peers=()),))) == {}
    second.run("ip", "neigh", "flush", "all")
    assert "00:00:00:00:00:00" not in far.run("bridge", "fdb").stdout


def test_gateways_outside_of_their_subnets(host, guests):
    """As providers have them that give single addresses: the gateway is on the link, whatever the prefix says."""
    far = msgspec.structs.replace(EXTERNAL.subnets[0], cidr="172.24.4.128/25")
    beyond = Subnet(id="s4", cidr="10.0.0.0/24", ip_version=4, gateway="192.0.2.1")
    one = port(10)
    networks = (network(one, subnets=(beyond,)), msgspec.structs.replace(EXTERNAL, subnets=(far,)))
    assert host.apply(scene(one, networks=networks, routers=(router(address="172.24.4.130"),))) == {}
    assert guests(host, one, "10.0.0.10/24").pings("172.24.4.1")


def test_routes_that_say_the_same_twice_or_nothing_new(host, guests):
    one, two = port(10), port(11, port_security=False)
    routes = (("10.77.0.0/16", "10.0.0.66"), ("10.77.0.0/16", "10.0.0.11"), ("10.0.0.0/24", "10.0.0.11"))
    doubled = msgspec.structs.replace(router(), routes=routes)
    assert host.apply(scene(one, two, routers=(doubled,))) == {}
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    second.run("ip", "addr", "add", "10.77.0.1/32", "dev", "lo", check=True)
    assert first.pings("10.77.0.1") and first.pings("172.24.4.1")
