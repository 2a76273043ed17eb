"""Tracked connections of a namespace: reading them, and ending those that are no longer allowed.

Numbers are from linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator

import msgspec

from cumulet.network.drivers.linux import netlink
from cumulet.network.drivers.linux.rules import ICMP, ICMPV6, Address, Flow

GET, DELETE = 1 << 8 | 1, 1 << 8 | 2
ENOENT = 2
TUPLE_ORIG, TUPLE_REPLY, ZONE = 1, 2, 18
TUPLE_IP, TUPLE_PROTO = 1, 2
V4_SRC, V4_DST, V6_SRC, V6_DST = 1, 2, 3, 4
PROTO_NUM, SRC_PORT, DST_PORT, ICMP_TYPE, ICMP_CODE, ICMPV6_TYPE, ICMPV6_CODE = 1, 2, 3, 5, 6, 8, 9
NESTED = 0x8000


class Connection(msgspec.Struct, frozen=True):
    """A tracked connection: how it began, and the addresses that answers to it have."""

    zone: int
    flow: Flow
    answer_source: Address
    answer_destination: Address
    key: bytes
    """What tells the kernel which one it is."""


def connections() -> Iterator[Connection]:
    """All of the calling thread's namespace."""
    for payload in netlink.request(netlink.NETFILTER, GET, header(0)):
        yield decode(payload)


def decode(payload: bytes) -> Connection:
    have = netlink.attributes(payload[4:])
    zone, original = have.get(ZONE, bytes(2)), have[TUPLE_ORIG]
    answer = flow(have[TUPLE_REPLY])
    key = header(payload[0]) + netlink.attribute(TUPLE_ORIG | NESTED, original)
    return Connection(
        zone=int.from_bytes(zone, "big"),
        flow=flow(original),
        answer_source=answer.source,
        answer_destination=answer.destination,
        key=key + netlink.attribute(ZONE, zone),
    )


def flow(data: bytes) -> Flow:
    parts = netlink.attributes(data)
    ip, proto = netlink.attributes(parts[TUPLE_IP]), netlink.attributes(parts[TUPLE_PROTO])
    protocol = proto[PROTO_NUM][0]
    first, code = {ICMP: (ICMP_TYPE, ICMP_CODE), ICMPV6: (ICMPV6_TYPE, ICMPV6_CODE)}.get(protocol, (SRC_PORT, 0))
    return Flow(
        source=ipaddress.ip_address(ip.get(V4_SRC) or ip[V6_SRC]),
        destination=ipaddress.ip_address(ip.get(V4_DST) or ip[V6_DST]),
        protocol=protocol,
        source_port=int.from_bytes(proto.get(first, b""), "big"),
        destination_port=int.from_bytes(proto.get(DST_PORT, b""), "big"),
        code=int.from_bytes(proto.get(code, b""), "big"),
    )


def end(unwanted: Callable[[Connection], bool]) -> int:
    """Forget the connections of the calling thread's namespace that `unwanted` names; how many they were."""
    gone = [connection for connection in connections() if unwanted(connection)]
    for connection in gone:
        try:
            for _ in netlink.request(netlink.NETFILTER, DELETE, connection.key, netlink.ACK):
                pass
        except netlink.NetlinkError as error:
            if error.errno != ENOENT:
                raise
    return len(gone)


def header(family: int) -> bytes:
    return struct.pack("=BBH", family, 0, 0)
