"""Opening tap devices for QEMU, and reading their counters."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path

from cumulet.compute.drivers.base import DriverError

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def open_tap(name: str) -> int:
    """An open descriptor of an existing tap device. Raises DriverError where it is missing or in use."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        # Opening it anyway would make a device that is on no network.
        raise DriverError(f"there is no tap device {name}; the network driver makes it before the server starts") from None
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    except OSError as error:
        os.close(fd)
        raise DriverError(f"tap device {name} cannot be opened: {error.strerror}") from None
    return fd


def counters() -> dict[str, list[int]]:
    """Device name -> the sixteen counters of /proc/net/dev (see proc(5)), in this network namespace."""
    found = {}
    for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        found[name.strip()] = [int(number) for number in numbers.split()]
    return found


def guest_view(numbers: list[int]) -> dict[str, int]:
    """A tap's counters as its guest sees them: what the tap receives, the guest has sent."""
    names = ("octets", "packets", "errors", "drop")
    return {f"tx_{name}": numbers[index] for index, name in enumerate(names)} | {
        f"rx_{name}": numbers[8 + index] for index, name in enumerate(names)
    }
