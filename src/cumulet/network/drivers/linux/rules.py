"""What a security group rule matches: as nft text, and asked of a single flow.

Both from the same reading of the rule, since a flow that was let in earlier must end when its rule goes.
Protocol names are those that the network API lists; numbers are IANA's.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from cumulet.network.drivers.base import Group, Rule
from cumulet.network.drivers.linux.names import short

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
WITH_PORTS = frozenset((6, 17, 33, 132, 136))
ICMP, ICMPV6 = 1, 58
FAMILIES = {"IPv4": 4, "IPv6": 6}

Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """The first packet of a connection. For ICMP the ports are type and code."""

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    code: int = 0


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its input checked. Raises ValueError for what is not a rule."""

    ingress: bool
    version: int
    protocol: int | None
    first: int | None
    last: int | None
    remote: Prefix | None
    group: str | None

    @classmethod
    def of(cls, rule: Rule) -> Match:
        if rule.direction not in ("ingress", "egress") or rule.ethertype not in FAMILIES:
            raise ValueError(f"direction {rule.direction!r} or ethertype {rule.ethertype!r} is not known")
        version = FAMILIES[rule.ethertype]
        remote = ipaddress.ip_network(rule.remote_cidr, strict=False) if rule.remote_cidr else None
        if remote and remote.version != version:
            raise ValueError(f"remote prefix {remote} is not of {rule.ethertype}")
        return cls(
            ingress=rule.direction == "ingress",
            version=version,
            protocol=protocol_number(rule.protocol, version),
            first=in_range(rule.port_min),
            last=in_range(rule.port_max),
            remote=remote,
            group=rule.remote_group,
        )

    def text(self) -> str:
        """The match in nft's language; the verdict is the caller's."""
        family, side = ("ip" if self.version == 4 else "ip6"), ("saddr" if self.ingress else "daddr")
        parts = [f"meta nfproto ipv{self.version}"]
        if self.remote and self.remote.prefixlen:
            parts.append(f"{family} {side} {self.remote}")
        if self.group:
            parts.append(f"{family} {side} @{member_set(self.group, self.version)}")
        if self.protocol is not None:
            parts += [f"meta l4proto {self.protocol}", *self._ports()]
        return " ".join(parts)

    def _ports(self) -> list[str]:
        if self.first is None:
            return []
        if self.protocol in WITH_PORTS:
            return [f"th dport {self.first}-{self.first if self.last is None else self.last}"]
        if self.protocol in (ICMP, ICMPV6):
            name = "icmp" if self.protocol == ICMP else "icmpv6"
            return [f"{name} type {self.first}"] + ([] if self.last is None else [f"{name} code {self.last}"])
        return []

    def takes(self, flow: Flow, members: dict[str, tuple[Prefix, ...]]) -> bool:
        """Whether the rule lets a flow begin. `members` are the addresses of the groups that rules name."""
        far = flow.source if self.ingress else flow.destination
        if far.version != self.version or (self.remote and far not in self.remote):
            return False
        if self.group and not any(far in network for network in members.get(self.group, ())):
            return False
        return self.protocol is None or (self.protocol == flow.protocol and self._takes_ports(flow))

    def _takes_ports(self, flow: Flow) -> bool:
        if self.first is None:
            return True
        if self.protocol in WITH_PORTS:
            return self.first <= flow.destination_port <= (self.first if self.last is None else self.last)
        if self.protocol in (ICMP, ICMPV6):
            return flow.source_port == self.first and self.last in (None, flow.code)
        return True


def protocol_number(protocol: str | None, version: int) -> int | None:
    if protocol is None or protocol == "any":
        return None
    if version == 6 and protocol in ("icmp", str(ICMP)):
        return ICMPV6
    number = PROTOCOLS.get(protocol) if not protocol.isdecimal() else int(protocol)
    if number is None or number > 255:
        raise ValueError(f"protocol {protocol!r} is not known")
    return number or None


def in_range(port: int | None) -> int | None:
    if port is not None and not 0 <= port <= 65535:
        raise ValueError(f"{port} is not a port")
    return port


def member_set(group_id: str, version: int) -> str:
    return f"m{version}_{short(group_id)}"


@lru_cache(maxsize=1 << 15)
def networks(addresses: tuple[str, ...], version: int) -> tuple[Prefix, ...]:
    """Addresses and prefixes of one IP version as networks that do not overlap. Raises ValueError."""
    read = [ipaddress.ip_network(each, strict=False) for each in addresses]
    return tuple(ipaddress.collapse_addresses(each for each in read if each.version == version))  # type: ignore[type-var]


def members_of(groups: tuple[Group, ...]) -> dict[str, tuple[Prefix, ...]]:
    return {group.id: networks(group.members, 4) + networks(group.members, 6) for group in groups}


def element(network: Prefix) -> str:
    """A network as nft wants it in a set: an address alone where it is one."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
