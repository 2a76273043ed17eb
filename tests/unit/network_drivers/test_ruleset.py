"""Laws of the filter's text, for any description."""

from __future__ import annotations

import random
import re

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.network.drivers.base import AddressPair, FixedIp, Group, HostNetwork, Network, Port, Rule
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.ruleset import Ruleset, ruleset

NAMES = Names("1a2b")
ids = st.text(min_size=1, max_size=12)
v4 = st.integers(0, 255).map("10.0.0.{}".format)
v6 = st.integers(0, 65535).map("fd00::{:x}".format)
v4_prefix = st.tuples(v4, st.integers(8, 32)).map(lambda both: f"{both[0]}/{both[1]}")
v6_prefix = st.tuples(v6, st.integers(8, 128)).map(lambda both: f"{both[0]}/{both[1]}")
mac = st.integers(0, 255).map("fa:16:3e:00:00:{:02x}".format)
group_ids = st.sampled_from(["one", "two", "three", "not here"])


@st.composite
def rule(draw) -> Rule:
    version = draw(st.sampled_from(["IPv4", "IPv6"]))
    protocol = draw(st.sampled_from([None, "tcp", "udp", "icmp", "sctp", "vrrp", "112", "any"]))
    low, high = sorted(draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    with_ports = protocol in ("tcp", "udp", "icmp", "sctp") and draw(st.booleans())
    return Rule(
        direction=draw(st.sampled_from(["ingress", "egress"])),
        ethertype=version,
        protocol=protocol,
        port_min=low if with_ports else None,
        port_max=high if with_ports else None,
        remote_cidr=draw(st.none() | (v4_prefix if version == "IPv4" else v6_prefix)),
        remote_group=draw(st.none() | group_ids),
    )


@st.composite
def port(draw) -> Port:
    return Port(
        id=draw(ids),
        network_id="net",
        mac=draw(mac),
        fixed_ips=tuple(FixedIp("s", ip) for ip in draw(st.lists(v4 | v6, max_size=3, unique=True))),
        groups=tuple(draw(st.lists(group_ids, max_size=3, unique=True))),
        pairs=tuple(AddressPair(ip, mac) for ip, mac in draw(st.lists(st.tuples(v4 | v4_prefix | v6_prefix, mac), max_size=3))),
        port_security=draw(st.booleans()),
    )


@st.composite
def description(draw) -> HostNetwork:
    groups = [
        Group(
            id=id,
            rules=tuple(draw(st.lists(rule(), max_size=4))),
            members=tuple(draw(st.lists(v4 | v6 | v4_prefix, max_size=4))),
        )
        for id in draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True))
    ]
    return HostNetwork(
        host="h",
        generation=1,
        networks=(Network(id="net", kind="local", mtu=1500), Network(id="other", kind="local", mtu=1500)),
        ports=tuple(draw(st.lists(port(), max_size=4, unique_by=lambda port: port.id))),
        groups=tuple(groups),
    )


def numbered(wanted: HostNetwork) -> dict[str, int]:
    names = [NAMES.external_bridge, *(NAMES.bridge(each.id) for each in wanted.networks)]
    names += [NAMES.tap(each.id) for each in sorted(wanted.ports, key=lambda port: port.id)]
    return {name: number for number, name in enumerate(names, 10)}


def rules_of(wanted: HostNetwork) -> Ruleset:
    return ruleset(NAMES, wanted, numbered(wanted))


def tables(text: str) -> list[str]:
    """The tables, whose names are their own."""
    return re.split(r"^(?=table )", text, flags=re.MULTILINE)[1:]


@given(description())
def test_whatever_is_named_is_there_once(wanted):
    for table in tables(rules_of(wanted).text):
        chains = re.findall(r"^chain (\w+) ", table, re.MULTILINE)
        sets = re.findall(r"^set (\w+) ", table, re.MULTILINE)
        assert len(chains) == len(set(chains)) and len(sets) == len(set(sets))
        assert set(re.findall(r"(?:jump|goto) (\w+)", table)) <= set(chains)
        assert set(re.findall(r"@((?!th,)\w+)", table)) <= set(sets)
        assert table.count("{") == table.count("}")


@given(description())
def test_every_guarded_port_is_judged_both_ways_and_no_other(wanted):
    rules = rules_of(wanted)
    guarded = {numbered(wanted)[NAMES.tap(each.id)] for each in wanted.ports if each.port_security}
    judged = re.findall(r"meta mark vmap \{ (.*) \}", rules.text)
    assert [{int(each.split(" : ")[0]) for each in line.split(", ")} for line in judged] == ([guarded] * 2 if guarded else [])


@given(description())
def test_every_path_of_a_judged_packet_ends_in_a_drop(wanted):
    (text,) = [table for table in tables(rules_of(wanted).text) if table.startswith("table inet")]
    bodies = dict(re.findall(r"^chain (\w+) \{([^}]*(?:\{[^}]*\}[^}]*)*?)^\}", text, re.MULTILINE))
    ends = {name: body.strip().splitlines()[-1] for name, body in bodies.items() if name[1] == "p" or name in ("egress", "ingress")}
    assert set(ends.values()) <= {"drop"}
    assert "egress" in ends and "ingress" in ends


@given(description(), st.randoms(use_true_random=False))
def test_order_makes_no_difference(wanted, shuffle: random.Random):
    def mixed(parts: tuple) -> tuple:
        return tuple(shuffle.sample(parts, len(parts)))

    other = msgspec.structs.replace(wanted, ports=mixed(wanted.ports), groups=mixed(wanted.groups), networks=mixed(wanted.networks))
    assert ruleset(NAMES, other, numbered(wanted)).text == rules_of(wanted).text


@given(description(), st.text(alphabet='"{};\n$`', min_size=1))
def test_no_text_from_outside_gets_into_the_rules(wanted, evil):
    bad_rule = Rule(direction="ingress", ethertype="IPv4", protocol=evil)
    bad = (
        Group(id="evil-rule", rules=(bad_rule,), members=()),
        Group(id="evil-member", rules=(), members=(evil,)),
        Group(id=evil, rules=(), members=()),
    )
    ports = (
        Port(id="evil-mac", network_id="net", mac=evil, fixed_ips=()),
        Port(id="evil-ip", network_id="net", mac="fa:16:3e:00:00:01", fixed_ips=(FixedIp("s", evil),)),
    )
    attacked = msgspec.structs.replace(
        wanted,
        groups=tuple(each for each in wanted.groups if each.id != evil) + bad,
        ports=tuple(each for each in wanted.ports if each.id not in ("evil-mac", "evil-ip")) + ports,
    )
    rules = rules_of(attacked)
    assert {"evil-rule", "evil-member", "evil-mac", "evil-ip"} <= set(rules.failed)
    assert NAMES.tap("evil-mac") not in rules.text
    assert all(re.fullmatch(r'[\w\s"{};:,.@*!=|&()/<>+-]*', line) for line in rules.text.splitlines())


@settings(max_examples=20)
@given(st.integers(2, 40))
def test_ports_of_the_same_groups_share_their_chains(count):
    group = Group(id="one", rules=(Rule(direction="ingress", ethertype="IPv4"),), members=())
    ports = tuple(
        Port(
            id=f"p{n}",
            network_id="net",
            mac=f"fa:16:3e:00:00:{n:02x}",
            fixed_ips=(FixedIp("s", f"10.0.0.{n}"),),
            groups=("one",),
        )
        for n in range(count)
    )
    wanted = HostNetwork(host="h", generation=1, networks=(Network(id="net", kind="local", mtu=1500),), groups=(group,))
    one, many = (rules_of(msgspec.structs.replace(wanted, ports=each)).text.count("\n") for each in (ports[:1], ports))
    assert one == many
