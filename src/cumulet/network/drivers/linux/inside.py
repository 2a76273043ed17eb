"""A namespace as it should be: its legs on the host's bridges, their addresses, its routes; and making it so."""

from __future__ import annotations

import ipaddress
import socket
import struct

import msgspec
from pyroute2 import IPRoute

from cumulet.network.drivers.linux import links, namespaces, netlink
from cumulet.network.drivers.linux.links import Host, Link, address, packed
from cumulet.network.drivers.linux.namespaces import sysctl

RTM_GETADDR, RTM_GETROUTE = 22, 26
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_GATEWAY = 1, 5
STATIC, MAIN, SCOPE_LINK, UNICAST, ONLINK = 4, 254, 253, 1, 4
ARP_REQUEST, ARP_REPLY, ETH_ARP = 1, 2, 0x0806
BASE_SYSCTLS = (
    ("ipv4/conf/all/arp_ignore", "1"),
    ("ipv4/conf/all/arp_announce", "2"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
)


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A veth pair: `outer` is on a bridge of the host, `inner` in the namespace with MAC and addresses."""

    outer: str
    inner: str
    bridge: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    """With prefix length."""


class Route(msgspec.Struct, frozen=True):
    destination: str
    via: str
    on: str = ""
    """The inner end of the leg that `via` is looked for on where no address of the leg says so; "" where one does."""


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    legs: tuple[Leg, ...]
    routes: tuple[Route, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = BASE_SYSCTLS


def outers_whole(found: dict[str, Link], wanted: Inside) -> bool:
    """Whether the host's ends of all legs are there, up and on their bridges."""
    return all(
        (link := found.get(leg.outer)) is not None
        and link.up
        and link.master == (bridge.index if (bridge := found.get(leg.bridge)) else -1)
        for leg in wanted.legs
    )


def make(host: Host, wanted: Inside, *, fresh: bool) -> list[tuple[Leg, str]]:
    """Bring a namespace that exists to its description; the leg addresses that were not there before.

    `fresh` says that the namespace has just been made: a leg's outer end that is there belongs to a dead one.
    """
    present = {} if fresh else namespaces.inside(wanted.name, links.found)
    for leg in wanted.legs:
        if leg.outer not in host.links or leg.inner not in present:
            host.delete(leg.outer)
            add_pair(host, leg, wanted.name)
        host.set(leg.outer, mtu=leg.mtu, up=True, master=leg.bridge)
    return namespaces.inside(wanted.name, lambda: furnish(wanted))


def add_pair(host: Host, leg: Leg, namespace: str) -> None:
    peer = {"ifname": leg.inner, "address": leg.mac, "mtu": leg.mtu, "net_ns_fd": str(namespaces.path(namespace))}
    host.ip.link("add", ifname=leg.outer, kind="veth", mtu=leg.mtu, peer=peer)
    sysctl(f"ipv6/conf/{leg.outer}/disable_ipv6", "1")
    host.refresh()


def furnish(wanted: Inside) -> list[tuple[Leg, str]]:
    """Everything within; runs in the namespace."""
    for key, value in wanted.sysctls:
        sysctl(key, value)
    with IPRoute() as ip:
        host = Host(ip)
        if not host.links["lo"].up:
            host.set("lo", mtu=host.links["lo"].mtu, up=True)
        for name in set(host.links) - {leg.inner for leg in wanted.legs} - {"lo"}:
            host.delete(name)
        added = [(leg, new) for leg in wanted.legs for new in furnish_leg(host, leg)]
        furnish_routes(ip, wanted.routes)
    return added


def furnish_leg(host: Host, leg: Leg) -> list[str]:
    link = host.links[leg.inner]
    if link.mac != leg.mac:
        host.ip.link("set", index=link.index, address=leg.mac)
    host.set(leg.inner, mtu=leg.mtu, up=True)
    have = addresses(link.index)
    wanted = {str(ipaddress.ip_interface(each)) for each in leg.addresses}
    for gone in have - wanted:
        host.ip.addr("del", index=link.index, **split(gone))
    for new in wanted - have:
        host.ip.addr("add", index=link.index, **split(new))
    return sorted(wanted - have)


def split(interface: str) -> dict[str, str | int]:
    address, _, length = interface.partition("/")
    return {
        "address": address,
        "prefixlen": int(length),
        "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
    }


def addresses(index: int) -> set[str]:
    """Addresses of a link, without those that it made for itself (IPv6 link-local)."""
    found = set()
    for payload in netlink.request(netlink.ROUTE, RTM_GETADDR, struct.pack("=BxxxI", socket.AF_UNSPEC, 0)):
        _, length, _, scope, link = struct.unpack_from("=BBBBI", payload)
        have = netlink.attributes(payload[8:])
        if link == index and not (scope == SCOPE_LINK and len(have[IFA_ADDRESS]) == 16):
            found.add(f"{address(have.get(IFA_LOCAL) or have[IFA_ADDRESS])}/{length}")
    return found


def furnish_routes(ip: IPRoute, routes: tuple[Route, ...]) -> None:
    """Make `routes` the static ones; a default route that was replaced goes before the new one comes."""
    wanted = {(str(ipaddress.ip_network(each.destination)), str(ipaddress.ip_address(each.via))): each.on for each in routes}
    have = static_routes()
    for destination, via in have - wanted.keys():
        ip.route("del", dst=destination, gateway=via)
    for destination, via in wanted.keys() - have:
        on = wanted[destination, via]
        more = {"oif": socket.if_nametoindex(on), "flags": ONLINK} if on else {}
        ip.route("add", dst=destination, gateway=via, proto=STATIC, **more)


def static_routes() -> set[tuple[str, str]]:
    found = set()
    for payload in netlink.request(netlink.ROUTE, RTM_GETROUTE, struct.pack("=8xI", 0)):
        family, length, _, _, table, proto, _, kind = struct.unpack_from("=8B", payload)
        have = netlink.attributes(payload[12:])
        if proto == STATIC and table == MAIN and kind == UNICAST and RTA_GATEWAY in have:
            every = bytes(4 if family == socket.AF_INET else 16)
            found.add((f"{address(have.get(RTA_DST, every))}/{length}", address(have[RTA_GATEWAY])))
    return found


def announce(namespace: str, leg: Leg, interface: str) -> None:
    """Tell everyone on the leg's bridge whose an IPv4 address is now, so that caches follow it (RFC 5227, 3)."""
    ip = interface.partition("/")[0]
    if ":" not in ip:
        namespaces.inside(namespace, lambda: send_arp(leg, packed(ip)))


def send_arp(leg: Leg, ip: bytes) -> None:
    mac, everyone = bytes.fromhex(leg.mac.replace(":", "")), b"\xff" * 6
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((leg.inner, ETH_ARP))
        for operation in (ARP_REQUEST, ARP_REPLY):
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac + ip + everyone + ip
            link.send(everyone + mac + struct.pack("!H", ETH_ARP) + body)
