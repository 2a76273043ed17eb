"""Reading the kernel's tables by netlink, in the namespace of the calling thread.

pyroute2 makes the changes; the dumps are read here because decoding every attribute of a link costs it
0.2 ms (measured), and a host has hundreds. Numbers are from linux/netlink.h, rtnetlink.h, nfnetlink.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

ROUTE, NETFILTER = 0, 12
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
NESTED_MASK = 0x3FFF
HEADER = struct.Struct("=IHHII")


class NetlinkError(OSError):
    """The kernel refused a netlink request; errno says why."""


def request(protocol: int, kind: int, body: bytes, flags: int = DUMP) -> Iterator[bytes]:
    """Send one request and yield the payload of every answer. Raises NetlinkError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.bind((0, 0))
        link.send(HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 1, 0) + body)
        while True:
            for answer, payload in messages(link.recv(1 << 18)):
                if answer == ERROR:
                    check(payload)
                if answer in (ERROR, DONE):
                    return
                yield payload
                if not flags & (DUMP | ACK):
                    return


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        yield kind, data[offset + HEADER.size : offset + length]
        offset += align(length)


def check(payload: bytes) -> None:
    (status,) = struct.unpack_from("=i", payload)
    if status:
        raise NetlinkError(-status, os.strerror(-status))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in a payload, by type; nested ones are given as bytes to be read again."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & NESTED_MASK] = data[offset + 4 : offset + length]
        offset += align(length)
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (align(len(value)) - len(value))


def align(length: int) -> int:
    return (length + 3) & ~3
