"""A router as a namespace: pure, from its description to legs, routes, address translation and announcements."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import msgspec

from cumulet.network.drivers.base import HostNetwork, Network, Router, RouterPort, Subnet
from cumulet.network.drivers.linux import radvd
from cumulet.network.drivers.linux.conntrack import Connection
from cumulet.network.drivers.linux.dnsmasq import METADATA
from cumulet.network.drivers.linux.inside import BASE_SYSCTLS, Inside, Leg, Route
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.rules import element, networks
from cumulet.network.drivers.linux.ruleset import replacing
from cumulet.network.drivers.linux.spoof import mac

FORWARDING = (("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1"))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    inside: Inside
    translation: str
    """nft text."""
    announcements: str
    """radvd text; "" where there is nothing to announce."""


def plan(names: Names, router: Router, wanted: HostNetwork, bridge_of: Callable[[Network], str]) -> Plan:
    """Raises ValueError for a router that cannot be, with the reason."""
    nets = {network.id: network for network in wanted.networks}
    floating = tuple(f"{ipaddress.ip_address(each.floating)}/32" for each in router.floating_ips)
    legs = [leg(names, port, nets, bridge_of, metadata_here(nets, port)) for port in router.interfaces]
    announced = [radvd.announced(each.inner, each.mtu, subnets_of(nets, port)) for each, port in zip(legs, router.interfaces, strict=True)]
    if router.gateway:
        legs.append(leg(names, router.gateway, nets, bridge_of, floating))
    return Plan(
        inside=Inside(
            name=names.router(router.id),
            legs=tuple(legs),
            routes=routes_of(names, router, nets),
            sysctls=(*BASE_SYSCTLS, *FORWARDING),
        ),
        translation=translation(names, router, nets),
        announcements=radvd.configuration([each for each in announced if each]),
    )


def leg(
    names: Names,
    port: RouterPort,
    nets: dict[str, Network],
    bridge_of: Callable[[Network], str],
    extra: tuple[str, ...],
) -> Leg:
    if port.network_id not in nets:
        raise ValueError(f"port {port.port_id} is on network {port.network_id}, which is not on this host")
    network = nets[port.network_id]
    return Leg(
        outer=names.outer(port.port_id),
        inner=names.inner(port.port_id),
        bridge=bridge_of(network),
        mac=mac(port.mac),
        mtu=network.mtu,
        addresses=(*interfaces(network, port.fixed_ips), *extra),
    )


def interfaces(network: Network, fixed_ips) -> tuple[str, ...]:
    """Addresses with the prefix length of their subnet. Raises ValueError where the network has no such subnet."""
    lengths = {subnet.id: ipaddress.ip_network(subnet.cidr).prefixlen for subnet in network.subnets}
    if unknown := [ip.address for ip in fixed_ips if ip.subnet_id not in lengths]:
        raise ValueError(f"no subnet of network {network.id} is known for {', '.join(unknown)}")
    return tuple(f"{ip.address}/{lengths[ip.subnet_id]}" for ip in fixed_ips)


def metadata_here(nets: dict[str, Network], port: RouterPort) -> tuple[str, ...]:
    """The router has the address of metadata where the network has no DHCP port to have it."""
    network = nets.get(port.network_id)
    return (f"{METADATA}/32",) if network and network.dhcp_port is None else ()


def subnets_of(nets: dict[str, Network], port: RouterPort) -> list[Subnet]:
    ids = {ip.subnet_id for ip in port.fixed_ips}
    return [subnet for subnet in nets[port.network_id].subnets if subnet.id in ids]


def routes_of(names: Names, router: Router, nets: dict[str, Network]) -> tuple[Route, ...]:
    """Out by the gateway, unless the router's own routes say otherwise. Of two to one destination the last holds; none
    leads to a network that the router is on."""
    out = ways_out(subnets_of(nets, router.gateway), names.inner(router.gateway.port_id)) if router.gateway else {}
    own = {str(ipaddress.ip_network(destination)): Route(destination, via) for destination, via in router.routes}
    on = {str(ipaddress.ip_network(subnet.cidr)) for leg in router.legs for subnet in subnets_of(nets, leg)}
    return tuple(route for destination, route in (out | own).items() if destination not in on)


def ways_out(subnets: list[Subnet], leg: str) -> dict[str, Route]:
    """The default routes of a namespace, by destination: of each IP version, by the first gateway of these subnets."""
    found: dict[str, Route] = {}
    for subnet in subnets:
        if subnet.gateway:
            destination = "0.0.0.0/0" if subnet.ip_version == 4 else "::/0"
            near = ipaddress.ip_address(subnet.gateway) in ipaddress.ip_network(subnet.cidr)
            found.setdefault(destination, Route(destination, subnet.gateway, "" if near else leg))
    return found


def translation(names: Names, router: Router, nets: dict[str, Network]) -> str:
    """Floating IPs both ways, and the gateway's address for everyone else who leaves.

    A guest that calls a floating IP of its own router gets there with a translated source too, or the
    answer would go round the router.
    """
    start = replacing(names.table, ("ip",))
    outside = gateway_address(router)
    if router.gateway is None or outside is None:
        return start + f"table ip {names.table} {{\n}}\n"
    pairs = [(ipaddress.IPv4Address(each.floating), ipaddress.IPv4Address(each.fixed)) for each in router.floating_ips]
    there = ", ".join(f"{floating} : {fixed}" for floating, fixed in sorted(pairs))
    back = ", ".join(f"{fixed} : {floating}" for floating, fixed in sorted(pairs))
    local = ", ".join(map(element, networks(inner_cidrs(router, nets), 4)))
    lines = [
        f"table ip {names.table} {{",
        "chain from { type nat hook prerouting priority dstnat; policy accept;",
        *([f"dnat to ip daddr map {{ {there} }}"] if pairs else []),
        "}",
        "chain to { type nat hook postrouting priority srcnat; policy accept;",
        *([f"ct status dnat ip saddr {{ {local} }} goto change"] if local else []),
        "ct status dnat accept",
        f'oifname "{names.inner(router.gateway.port_id)}" goto change',
        "}",
        "chain change {",
        *([f"snat to ip saddr map {{ {back} }}"] if pairs else []),
        *([f"snat to {outside}"] if router.snat else []),
        "}",
        "}",
    ]
    return start + "\n".join([*lines, ""])


def gateway_address(router: Router) -> str | None:
    fixed = router.gateway.fixed_ips if router.gateway else ()
    return next((ip.address for ip in fixed if ipaddress.ip_address(ip.address).version == 4), None)


def inner_cidrs(router: Router, nets: dict[str, Network]) -> tuple[str, ...]:
    return tuple(subnet.cidr for port in router.interfaces for subnet in subnets_of(nets, port))


def outdated(router: Router) -> Callable[[Connection], bool]:
    """The judge of a connection that was translated: True where a floating IP in it is now another's or no one's."""
    there = {each.floating: each.fixed for each in router.floating_ips}
    back = {each.fixed: each.floating for each in router.floating_ips}
    outside = gateway_address(router)

    def judge(connection: Connection) -> bool:
        source, destination = str(connection.flow.source), str(connection.flow.destination)
        target, seen_as = str(connection.answer_source), str(connection.answer_destination)
        received = target != destination and there.get(destination) != target
        sent = seen_as != source and seen_as != back.get(source, outside if router.snat else None)
        return received or sent

    return judge
