"""Names, and what dnsmasq, radvd and a router's nft are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.network.drivers.base import (
    FixedIp,
    FloatingIp,
    HostNetwork,
    Lease,
    Network,
    Port,
    Router,
    RouterPort,
    Subnet,
)
from cumulet.network.drivers.linux import dnsmasq, radvd, routers
from cumulet.network.drivers.linux.names import Names

NAMES = Names("1a2b")
V4 = Subnet(id="s4", cidr="10.0.0.0/24", ip_version=4, gateway="10.0.0.1")
SLAAC = Subnet(id="s6", cidr="fd00::/64", ip_version=6, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
DHCP_PORT = Port(id="d", network_id="net", mac="fa:16:3e:00:00:02", fixed_ips=(FixedIp("s4", "10.0.0.2"),))


def lease(number: int, **fields) -> Lease:
    known = {"addresses": (FixedIp("s4", f"10.0.0.{number}"),), "hostname": ""} | fields
    return Lease(port_id=f"p{number}", mac=f"fa:16:3e:00:00:{number:02x}", **known)


def network(*leases: Lease, subnets=(V4,)) -> Network:
    return Network(id="net", kind="local", mtu=1450, subnets=subnets, leases=leases, dhcp_port=DHCP_PORT)


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_fit_the_kernel_and_tell_objects_apart(one, other):
    for make in (NAMES.tap, NAMES.bridge, NAMES.vxlan, NAMES.outer, NAMES.inner, NAMES.dhcp, NAMES.router):
        assert len(make(one)) <= 15 and make(one).startswith("c1a2b")
        assert (make(one) == make(other)) == (one == other)
    assert NAMES.bridge(one) != NAMES.external_bridge


@pytest.mark.parametrize("tag", ["", "1a2", "1A2B", "1a2b3", "xyzw", "1a2\n"])
def test_a_tag_is_four_hex_digits(tag):
    with pytest.raises(ValueError, match="four hex digits"):
        Names(tag)


def test_leases_have_names_that_dns_can_hold():
    files, failed = dnsmasq.leases(network(lease(5, hostname="Web-1"), lease(6, hostname="no_good name")), DHCP_PORT, "d.org")
    assert failed == {}
    assert files.names == "10.0.0.5 web-1 web-1.d.org\n10.0.0.6 host-10-0-0-6 host-10-0-0-6.d.org\n"
    assert [line.split(",")[0] for line in files.hosts.splitlines()] == ["fa:16:3e:00:00:05", "fa:16:3e:00:00:06"]


@given(st.text(min_size=1), st.text())
def test_no_option_can_leave_its_line(name, value):
    files, failed = dnsmasq.leases(network(lease(5, options={name: value})), DHCP_PORT, "d.org")
    plain, _ = dnsmasq.leases(network(), DHCP_PORT, "d.org")
    assert len(files.options.splitlines()) == len(plain.options.splitlines()) + (not failed)


def test_options_of_both_versions_have_their_own_names():
    given = {"tftp-server": "1.2.3.4", "67": "boot", "option6:dns-server": "[fd00::1]", "option6:59": "x"}
    files, failed = dnsmasq.leases(network(lease(5, options=given)), DHCP_PORT, "d.org")
    told = [line.partition(",")[2] for line in files.options.splitlines() if line.startswith("tag:p")]
    assert failed == {} and told == ["67,boot", "option6:59,x", "option6:dns-server,[fd00::1]", "option:tftp-server,1.2.3.4"]


def test_a_lease_that_cannot_be_leaves_the_others():
    files, failed = dnsmasq.leases(network(lease(5, options={"x\ny": ""}), lease(6)), DHCP_PORT, "d.org")
    assert set(failed) == {"p5"}
    assert "10.0.0.6" in files.hosts


def test_subnets_without_dhcp_are_not_served():
    off = Subnet(id="off", cidr="10.1.0.0/24", ip_version=4, dhcp=False)
    assert dnsmasq.served(network(subnets=(V4, off, SLAAC))) == [V4]


def test_a_subnet_without_gateway_gives_no_router():
    bare = Subnet(id="s4", cidr="10.0.0.0/24", ip_version=4)
    lines = dnsmasq.subnet_options(bare, DHCP_PORT)
    assert any(line.endswith("option:router") for line in lines)
    assert not any("0.0.0.0/0" in line for line in lines)


@pytest.mark.parametrize(
    ("mode", "managed", "other", "autonomous"),
    [("slaac", "off", "off", "on"), ("dhcpv6-stateless", "off", "on", "on"), ("dhcpv6-stateful", "on", "off", "off")],
)
def test_announcements_by_mode(mode, managed, other, autonomous):
    subnet = Subnet(id="s6", cidr="fd00::/64", ip_version=6, ipv6_ra_mode=mode)
    leg = radvd.announced("leg", 1450, [V4, subnet])
    assert leg
    text = radvd.configuration([leg])
    assert f"AdvManagedFlag {managed};" in text
    assert f"AdvOtherConfigFlag {other};" in text
    assert f"AdvAutonomous {autonomous};" in text
    assert radvd.announced("leg", 1450, [V4]) is None


def test_a_router_that_lacks_a_subnet_says_which_address():
    leg = RouterPort(port_id="l", network_id="net", mac="fa:16:3e:00:00:01", fixed_ips=(FixedIp("gone", "10.5.0.1"),))
    wanted = HostNetwork(host="h", generation=1, networks=(network(),))
    with pytest.raises(ValueError, match=r"10\.5\.0\.1"):
        routers.plan(NAMES, Router(id="r", interfaces=(leg,)), wanted, lambda each: NAMES.bridge(each.id))


def test_without_a_gateway_nothing_is_translated():
    router = Router(id="r", floating_ips=(FloatingIp("172.24.4.9", "10.0.0.9"),))
    text = routers.translation(NAMES, router, {})
    assert "snat" not in text and "dnat" not in text
