"""Links of the host: what is there, and bridges, tap devices and VXLAN devices as they are wanted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError as PyrouteError

from cumulet.network.drivers.linux import netlink
from cumulet.network.drivers.linux.namespaces import sysctl

RTM_GETLINK, RTM_GETNEIGH = 18, 30
IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_STATS64 = 1, 3, 4, 10, 18, 23
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_VXLAN_ID, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6 = 1, 4, 17
NDA_DST, NDA_LLADDR = 1, 2
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER = 0x400454CA, 0x400454CB, 0x400454CC
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x2, 0x1000, 0x4000
VXLAN_PORT = 4789
EVERYONE = "00:00:00:00:00:00"
"""The forwarding entry that VXLAN uses for broadcast and for addresses it has not learned."""


class Link(msgspec.Struct, frozen=True):
    """A link that was found. `data` is what its kind keeps beside the common attributes."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    master: int
    up: bool
    data: dict[int, bytes]
    statistics: bytes


def found() -> dict[str, Link]:
    """All links of the calling thread's namespace, by name."""
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    links = map(decode, netlink.request(netlink.ROUTE, RTM_GETLINK, body))
    return {link.name: link for link in links}


def decode(payload: bytes) -> Link:
    index, flags = struct.unpack_from("=iI", payload, 4)
    have = netlink.attributes(payload[16:])
    info = netlink.attributes(have.get(IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=text(have[IFLA_IFNAME]),
        kind=text(info.get(IFLA_INFO_KIND, b"")),
        mac=have.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=number(have.get(IFLA_MTU)),
        master=number(have.get(IFLA_MASTER)),
        up=bool(flags & IFF_UP),
        data=netlink.attributes(info.get(IFLA_INFO_DATA, b"")),
        statistics=have.get(IFLA_STATS64, b""),
    )


def text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


def number(value: bytes | None) -> int:
    return int.from_bytes(value, "little") if value else 0


class Host:
    """The links of the host while one description is applied: a snapshot, and changes that keep it true."""

    def __init__(self, ip: IPRoute):
        self.ip = ip
        self.links = found()

    def bridge(self, name: str, mtu: int, up: bool = True) -> Link:
        """A bridge that learns, floods and filters, and has no address: the host takes no part in it.

        Filtering is switched on for this bridge alone, so that other bridges of the host stay as they are.
        """
        link = self.links.get(name) or self._add(
            name,
            kind="bridge",
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,
            br_nf_call_iptables=1,
            br_nf_call_ip6tables=1,
        )
        if not link.up:
            sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        return self.set(name, mtu=mtu, up=up)

    def tap(self, name: str, owner: int, mtu: int, bridge: str, up: bool) -> Link:
        """A tap device that outlives whoever opens it. One that is down has no bridge either."""
        if name not in self.links:
            make_tap(name, owner)
            self.refresh()
        if not self.links[name].up:
            sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        return self.set(name, mtu=mtu, up=up, master=bridge if up else None)

    def vxlan(self, name: str, segment: int, local: str, mtu: int, bridge: str) -> Link:
        """A VXLAN device that learns where addresses are; broadcast goes to the hosts of `flood` alone."""
        link = self.links.get(name)
        if link and (number(link.data.get(IFLA_VXLAN_ID)) != segment or tunnel(link) != packed(local)):
            self.delete(name)
            link = None
        if link is None:
            family = {"vxlan_local6" if ":" in local else "vxlan_local": local}
            link = self._add(name, kind="vxlan", vxlan_id=segment, vxlan_port=VXLAN_PORT, vxlan_learning=1, **family)
        if not link.up:
            sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        return self.set(name, mtu=mtu, up=True, master=bridge)

    def flood(self, name: str, peers: tuple[str, ...], known: dict[int, set[str]]) -> None:
        """Make `peers` the hosts that a VXLAN device sends broadcast to; `known` is what `floods` found."""
        index = self.links[name].index
        have = known.get(index, set())
        for peer in set(peers) - have:
            self.ip.fdb("append", ifindex=index, lladdr=EVERYONE, dst=peer)
        for peer in have - set(peers):
            self.ip.fdb("del", ifindex=index, lladdr=EVERYONE, dst=peer)

    def set(self, name: str, *, mtu: int, up: bool, master: str | None = None) -> Link:
        """Bring MTU, state and bridge of a link to what is wanted; nothing is sent where they are so."""
        link = self.links[name]
        change: dict[str, int | str] = {}
        if link.mtu != mtu:
            change["mtu"] = mtu
        if link.master != (wanted := self.links[master].index if master else 0):
            change["master"] = wanted
        if link.up != up:
            change["state"] = "up" if up else "down"
        if change:
            self.ip.link("set", index=link.index, **change)
            link = msgspec.structs.replace(link, mtu=mtu, up=up, master=wanted)
            self.links[name] = link
        return link

    def delete(self, name: str) -> None:
        if link := self.links.pop(name, None):
            with contextlib.suppress(PyrouteError):
                self.ip.link("del", index=link.index)

    def refresh(self) -> None:
        self.links = found()

    def _add(self, name: str, **attributes) -> Link:
        self.ip.link("add", ifname=name, **attributes)
        self.refresh()
        return self.links[name]


def make_tap(name: str, owner: int) -> None:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(handle, TUNSETOWNER, owner)
        fcntl.ioctl(handle, TUNSETPERSIST, 1)
    finally:
        os.close(handle)


def floods() -> dict[int, set[str]]:
    """Where each VXLAN device sends broadcast to, by the device's index."""
    peers: dict[int, set[str]] = {}
    body = struct.pack("=BxHiII", socket.AF_BRIDGE, 0, 0, 0, 0)
    for payload in netlink.request(netlink.ROUTE, RTM_GETNEIGH, body):
        (index,) = struct.unpack_from("=i", payload, 4)
        have = netlink.attributes(payload[12:])
        if NDA_DST in have and have.get(NDA_LLADDR) == bytes(6):
            peers.setdefault(index, set()).add(address(have[NDA_DST]))
    return peers


def statistics(link: Link) -> dict[str, int]:
    """Counters as the guest behind a tap sees them: what the host sent is what the guest received."""
    names = ("packets", "octets", "errors", "drop")
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_drop, tx_drop = struct.unpack_from("=8Q", link.statistics)
    received = dict(zip(names, (tx_packets, tx_bytes, tx_errors, tx_drop), strict=True))
    sent = dict(zip(names, (rx_packets, rx_bytes, rx_errors, rx_drop), strict=True))
    return {f"rx_{key}": value for key, value in received.items()} | {f"tx_{key}": value for key, value in sent.items()}


def tunnel(link: Link) -> bytes:
    return link.data.get(IFLA_VXLAN_LOCAL) or link.data.get(IFLA_VXLAN_LOCAL6, b"")


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def address(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)
