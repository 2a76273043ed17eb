"""Which connections must end when rules change."""

from __future__ import annotations

import ipaddress

import pytest

from cumulet.network.drivers.base import FixedIp, Group, HostNetwork, Network, Port, Rule
from cumulet.network.drivers.linux.rules import Flow, Match
from cumulet.network.drivers.linux.sessions import allowed, departed, narrowed

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
OUT = Rule(direction="egress", ethertype="IPv4")
SSH = Rule(direction="ingress", ethertype="IPv4", protocol="tcp", port_min=22, port_max=25)


def flow(source: str, destination: str, protocol: int = TCP, **ports: int) -> Flow:
    ends = (ipaddress.ip_address(each) for each in (source, destination))
    return Flow(source=next(ends), destination=next(ends), protocol=protocol, **ports)


def port(number: int, *groups: str, **fields) -> Port:
    fixed = (FixedIp("s", f"10.0.0.{number}"),)
    known = {"fixed_ips": fixed, "groups": groups, "mac": f"fa:16:3e:00:00:{number:02x}"} | fields
    return Port(id=f"p{number}", network_id="net", **known)


def host(*ports: Port, **groups: tuple) -> HostNetwork:
    made = tuple(Group(id=id, rules=rules, members=members) for id, (rules, members) in groups.items())
    return HostNetwork(host="h", generation=1, networks=(Network(id="net", kind="local", mtu=1500),), ports=ports, groups=made)


@pytest.mark.parametrize(
    ("rule", "begins", "taken"),
    [
        (SSH, flow("10.9.9.9", "10.0.0.1", destination_port=22), True),
        (SSH, flow("10.9.9.9", "10.0.0.1", destination_port=25), True),
        (SSH, flow("10.9.9.9", "10.0.0.1", destination_port=26), False),
        (SSH, flow("10.9.9.9", "10.0.0.1", UDP, destination_port=22), False),
        (SSH, flow("fd00::9", "fd00::1", destination_port=22), False),
        (Rule(direction="ingress", ethertype="IPv4", remote_cidr="10.9.0.0/16"), flow("10.9.1.1", "10.0.0.1"), True),
        (Rule(direction="ingress", ethertype="IPv4", remote_cidr="10.9.0.0/16"), flow("10.8.1.1", "10.0.0.1"), False),
        (Rule(direction="egress", ethertype="IPv4", remote_cidr="10.9.0.0/16"), flow("10.0.0.1", "10.9.1.1"), True),
        (Rule(direction="ingress", ethertype="IPv4", remote_group="g"), flow("10.0.0.7", "10.0.0.1"), True),
        (Rule(direction="ingress", ethertype="IPv4", remote_group="g"), flow("10.0.0.8", "10.0.0.1"), False),
        (Rule(direction="ingress", ethertype="IPv4", remote_group="nobody"), flow("10.0.0.7", "10.0.0.1"), False),
        (
            Rule(direction="ingress", ethertype="IPv4", protocol="icmp", port_min=8, port_max=0),
            flow("10.0.0.7", "10.0.0.1", ICMP, source_port=8),
            True,
        ),
        (
            Rule(direction="ingress", ethertype="IPv4", protocol="icmp", port_min=8, port_max=0),
            flow("10.0.0.7", "10.0.0.1", ICMP, source_port=8, code=1),
            False,
        ),
        (
            Rule(direction="ingress", ethertype="IPv6", protocol="icmp"),
            flow("fd00::7", "fd00::1", ICMPV6, source_port=128),
            True,
        ),
    ],
)
def test_a_rule_takes_what_it_says(rule, begins, taken):
    members = {"g": (ipaddress.ip_network("10.0.0.7/32"),)}
    assert Match.of(rule).takes(begins, members) is taken


@pytest.mark.parametrize(
    "fields",
    [
        {"direction": "sideways"},
        {"ethertype": "IPX"},
        {"protocol": "nonsense"},
        {"protocol": "256"},
        {"protocol": "tcp", "port_min": 65536},
        {"remote_cidr": "fd00::/8"},
        {"remote_cidr": "10.0.0.0/99"},
    ],
)
def test_what_is_no_rule_is_refused(fields):
    with pytest.raises(ValueError, match=r".+"):
        Match.of(Rule(**({"direction": "ingress", "ethertype": "IPv4"} | fields)))


def test_both_ends_must_let_a_flow():
    wanted = host(port(1, "sender"), port(2, "server"), sender=((OUT,), ()), server=((SSH,), ()))
    lets = allowed(wanted, {})
    assert lets("net", flow("10.0.0.1", "10.0.0.2", destination_port=22))
    assert not lets("net", flow("10.0.0.1", "10.0.0.2", destination_port=80))
    assert not lets("net", flow("10.0.0.2", "10.0.0.1", destination_port=22))
    assert lets("net", flow("10.0.0.2", "10.0.0.255", UDP, source_port=68, destination_port=67))
    assert not allowed(wanted, {"server": "broken"})("net", flow("10.0.0.1", "10.0.0.2", destination_port=22))


BEFORE = host(port(1, "a"), a=((OUT, SSH), ("10.0.0.1", "10.0.0.2")))


@pytest.mark.parametrize(
    ("after", "touched"),
    [
        (BEFORE, set()),
        (host(port(1, "a"), port(2, "a"), a=((OUT, SSH), ("10.0.0.1", "10.0.0.2", "10.0.0.3"))), set()),
        (host(port(1, "a"), a=((OUT,), ("10.0.0.1", "10.0.0.2"))), {"net"}),
        (host(port(1, "a"), a=((OUT, SSH), ("10.0.0.1",))), {"net"}),
        (host(port(1), a=((OUT, SSH), ("10.0.0.1", "10.0.0.2"))), {"net"}),
        (host(a=((OUT, SSH), ("10.0.0.1", "10.0.0.2"))), {"net"}),
        (host(port(1, "a", fixed_ips=()), a=((OUT, SSH), ("10.0.0.1", "10.0.0.2"))), {"net"}),
    ],
)
def test_only_what_takes_away_is_looked_at(after, touched):
    assert narrowed(BEFORE, after) == touched


def test_a_port_whose_security_is_switched_on_is_looked_at():
    before = host(port(1, "a", port_security=False), a=((OUT,), ()))
    assert narrowed(before, host(port(1, "a"), a=((OUT,), ()))) == {"net"}
    assert narrowed(host(port(1, "a"), a=((OUT,), ())), before) == set()


def test_addresses_that_left_their_port():
    assert departed(BEFORE, host(port(2)), "net") == {ipaddress.ip_address("10.0.0.1")}
    assert departed(BEFORE, BEFORE, "net") == set()
