"""Which connections must end when security group rules, members or ports change: pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import msgspec

from cumulet.network.drivers.base import HostNetwork, Port
from cumulet.network.drivers.linux.conntrack import Connection
from cumulet.network.drivers.linux.rules import Address, Flow, Match, Prefix, members_of, networks

Allowed = Callable[[str, Flow], bool]


class Guard(msgspec.Struct, frozen=True):
    """A port with all that decides what it may send and receive."""

    port: Port
    addresses: tuple[Prefix, ...]
    matches: frozenset[Match]

    def has(self, address: Address) -> bool:
        return any(address in network for network in self.addresses)

    def lets(self, flow: Flow, members: dict[str, tuple[Prefix, ...]], *, ingress: bool) -> bool:
        return any(match.ingress == ingress and match.takes(flow, members) for match in self.matches)


def guards(wanted: HostNetwork, failed: dict[str, str]) -> dict[str, list[Guard]]:
    """The guarded ports by network. Ports and groups in `failed` have no rules."""
    rules = {group.id: group.rules for group in wanted.groups if group.id not in failed}
    found: dict[str, list[Guard]] = {}
    for port in wanted.ports:
        if port.port_security and port.id not in failed:
            matches = frozenset(Match.of(rule) for group in port.groups for rule in rules.get(group, ()))
            found.setdefault(port.network_id, []).append(Guard(port, own(port), matches))
    return found


def own(port: Port) -> tuple[Prefix, ...]:
    texts = (*(fixed.address for fixed in port.fixed_ips), *(pair.ip for pair in port.pairs))
    return (*networks(texts, 4), *networks(texts, 6))


def allowed(wanted: HostNetwork, failed: dict[str, str]) -> Allowed:
    """The judge of a flow on a network: both the port it comes from and the one it goes to must let it."""
    by_network = guards(wanted, failed)
    members = members_of(tuple(group for group in wanted.groups if group.id not in failed))

    def lets(network_id: str, flow: Flow) -> bool:
        ports = by_network.get(network_id, [])
        sends = [guard.lets(flow, members, ingress=False) for guard in ports if guard.has(flow.source)]
        takes = [guard.lets(flow, members, ingress=True) for guard in ports if guard.has(flow.destination)]
        return is_dhcp(flow) or ((not sends or any(sends)) and (not takes or any(takes)))

    return lets


def judge(before: HostNetwork, after: HostNetwork, failed: dict[str, str], zones: dict[int, list[str]]) -> Callable[[Connection], bool]:
    """The judge of a tracked connection: True where it must end. `zones` has the networks to look at, by zone."""
    lets = allowed(after, failed)
    gone = {network_id: departed(before, after, network_id) for each in zones.values() for network_id in each}

    def must_end(connection: Connection) -> bool:
        ends = {connection.flow.source, connection.flow.destination}
        return any(bool(ends & gone[network_id]) or not lets(network_id, connection.flow) for network_id in zones.get(connection.zone, ()))

    return must_end


def is_dhcp(flow: Flow) -> bool:
    return flow.protocol == 17 and {flow.source_port, flow.destination_port} in ({67, 68}, {546, 547})


def narrowed(before: HostNetwork, after: HostNetwork) -> set[str]:
    """Networks where something that was allowed may not be so any more: a rule, a member, a port or an address went."""
    kept = {group.id: group for group in after.groups}
    shrunk = {
        group.id
        for group in before.groups
        if group.id not in kept or set(group.rules) - set(kept[group.id].rules) or set(group.members) - set(kept[group.id].members)
    }
    shrunk |= {group.id for group in before.groups for rule in group.rules if rule.remote_group in shrunk and group.id not in shrunk}
    ports = {port.id: port for port in after.ports}
    return {port.network_id for port in before.ports if port_narrowed(port, ports.get(port.id), shrunk)}


def port_narrowed(before: Port, after: Port | None, shrunk: set[str]) -> bool:
    return (
        after is None
        or bool(shrunk & set(before.groups))
        or bool(set(before.groups) - set(after.groups))
        or before.port_security < after.port_security
        or before.fixed_ips != after.fixed_ips
        or before.pairs != after.pairs
    )


def departed(before: HostNetwork, after: HostNetwork, network_id: str) -> set[Address]:
    """Addresses on a network that their port has no more: the next to have one must not inherit its connections."""
    had, has = (
        {(port.id, ip.address) for port in each.ports if port.network_id == network_id for ip in port.fixed_ips} for each in (before, after)
    )
    return {ipaddress.ip_address(address) for _, address in had - has}
