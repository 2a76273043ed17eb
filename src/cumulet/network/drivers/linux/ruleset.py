"""The whole filter of a host as the text of one nft transaction: pure, from the description and the links' numbers.

Bridged packets reach the `inet` table through br_netfilter. There each network is a connection tracking
zone, what a guest sends is judged at prerouting and what it receives at forward, by the mark that
`spoof.py` left on the packet.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cumulet.network.drivers.base import Group, HostNetwork, Network, Port
from cumulet.network.drivers.linux.names import Names, short
from cumulet.network.drivers.linux.rules import Match, Prefix, element, member_set, networks
from cumulet.network.drivers.linux.spoof import addresses, bridge_table

ZONES = 65535
DISCOVERY_IN = "icmpv6 type { 130, 131, 132, 134, 135, 136, 143 } accept"
DISCOVERY_OUT = "icmpv6 type { 130, 131, 132, 133, 135, 136, 143 } accept"
DHCP_OUT = (
    "meta nfproto ipv4 udp sport 68 udp dport 67 accept",
    "meta nfproto ipv6 udp sport 546 udp dport 547 accept",
    "tcp flags & (fin | syn | rst | ack) != syn drop",
)
"""What is always let out. Last: a TCP connection begins with SYN, so that one that was cut off does not
come back to life by the guest's next packet."""
DHCP_IN = (
    "meta nfproto ipv4 udp sport 67 udp dport 68 accept",
    "meta nfproto ipv6 udp sport 547 udp dport 546 accept",
)
ACCEPTED = "ct state vmap { established : accept, related : accept, invalid : drop }"


class Ruleset(msgspec.Struct, frozen=True):
    text: str
    failed: dict[str, str]
    """Ports and groups whose description cannot be turned into rules: nothing passes for them."""


def ruleset(names: Names, wanted: HostNetwork, indexes: Mapping[str, int]) -> Ruleset:
    """The rules of a host. `indexes` has the interface number of every tap and bridge; ports without one are left out."""
    failed: dict[str, str] = {}
    wanted = in_order(wanted)
    groups = [text for group in wanted.groups if (text := readable(group, group_text, failed))]
    groups = member_sets(wanted, failed) + groups
    good = {group.id for group in wanted.groups if group.id not in failed}
    ports = [port for port in wanted.ports if names.tap(port.id) in indexes and readable(port, addresses, failed)]
    guarded = [port for port in ports if port.port_security]
    tables = bridge_table(names, ports, indexes) + inet_table(names, wanted, indexes, guarded, groups, good)
    return Ruleset(replacing(names.table, ("bridge", "inet")) + tables, failed)


def in_order(wanted: HostNetwork) -> HostNetwork:
    """The description sorted by id, so that its order never makes another text."""

    def by_id(part: Group | Port | Network) -> str:
        return part.id

    return msgspec.structs.replace(
        wanted,
        networks=tuple(sorted(wanted.networks, key=by_id)),
        ports=tuple(sorted(wanted.ports, key=by_id)),
        groups=tuple(sorted(wanted.groups, key=by_id)),
    )


def replacing(table: str, families: tuple[str, ...]) -> str:
    """The start of a transaction after which nothing of the tables' former content is left."""
    return "".join(f"add table {family} {table}\ndelete table {family} {table}\n" for family in families)


def readable(item: Group | Port, read, failed: dict[str, str]):
    try:
        return read(item)
    except ValueError as error:
        failed[item.id] = str(error)
        return None


def inet_table(names: Names, wanted: HostNetwork, indexes: Mapping[str, int], ports: list[Port], groups: list[str], good: set[str]) -> str:
    bridges = [names.external_bridge, *(names.bridge(network.id) for network in wanted.networks)]
    zones = ", ".join(f'"{bridge}" : {zone(indexes[bridge])}' for bridge in bridges if bridge in indexes)
    combinations = {indexes[names.tap(port.id)]: joined(port, good) for port in ports}
    lines = [
        f"table inet {names.table} {{",
        "chain zone { type filter hook prerouting priority raw; policy accept;",
        *([f"ct zone set iifname map {{ {zones} }}"] if zones else []),
        "}",
        *judged(names, "egress", "prerouting", [DISCOVERY_OUT, *DHCP_OUT], combinations),
        *judged(names, "ingress", "forward", [DISCOVERY_IN, *DHCP_IN], combinations),
        *groups,
    ]
    for combination in sorted(set(combinations.values())):
        lines += combination_chains(combination)
    return "\n".join([*lines, "}", ""])


def judged(names: Names, direction: str, hook: str, always: list[str], groups: dict[int, tuple[str, ...]]) -> list[str]:
    """The chain that sends a packet to the rules of its port's groups. Other bridges' packets are none of ours."""
    verdicts = ", ".join(f"{mark} : goto {chain(direction, each)}" for mark, each in groups.items())
    return [
        f"chain {direction} {{ type filter hook {hook} priority filter; policy accept;",
        f'iifname != "{names.any_bridge}" accept',
        "meta mark 0 accept",
        ACCEPTED,
        *always,
        *([f"meta mark vmap {{ {verdicts} }}"] if groups else []),
        "drop",
        "}",
    ]


def zone(index: int) -> int:
    """A connection tracking zone from a bridge's interface number, which no other cloud on the host can have."""
    return (index - 1) % ZONES + 1


def joined(port: Port, good: set[str]) -> tuple[str, ...]:
    """The groups of a port that can be kept. Ports with the same ones share their chains."""
    return tuple(sorted(set(port.groups) & good))


def chain(direction: str, groups: tuple[str, ...]) -> str:
    return f"{direction[0]}p{short(' '.join(groups))}"


def combination_chains(groups: tuple[str, ...]) -> list[str]:
    lines = []
    for direction in ("egress", "ingress"):
        jumps = [f"jump {direction[0]}g{short(group)}" for group in groups]
        lines += [f"chain {chain(direction, groups)} {{", *jumps, "drop", "}"]
    return lines


def group_text(group: Group) -> str:
    """A group's two chains. Raises ValueError for a rule that cannot be."""
    lines = []
    for direction in ("egress", "ingress"):
        matches = sorted({f"{Match.of(rule).text()} accept" for rule in group.rules if rule.direction == direction})
        lines += [f"chain {direction[0]}g{short(group.id)} {{", *matches, "}"]
    return "\n".join(lines)


def member_sets(wanted: HostNetwork, failed: dict[str, str]) -> list[str]:
    """The sets that rules with a remote group look into: empty for a group that is unknown or cannot be read."""
    named = {rule.remote_group: () for group in wanted.groups for rule in group.rules if rule.remote_group}
    known = {group.id: group.members for group in wanted.groups if readable(group, members, failed) is not None}
    return [line for id, listed in sorted((named | known).items()) for line in member_set_text(id, listed)]


def members(group: Group) -> tuple[Prefix, ...]:
    return networks(group.members, 4) + networks(group.members, 6)


def member_set_text(group_id: str, listed: tuple[str, ...]) -> list[str]:
    lines = []
    for version in (4, 6):
        elements = ", ".join(map(element, networks(listed, version)))
        lines += [
            f"set {member_set(group_id, version)} {{ type ipv{version}_addr; flags interval;",
            *([f"elements = {{ {elements} }}"] if elements else []),
            "}",
        ]
    return lines
