"""A stand-in for a hypervisor: carries frames between a tap of the driver and a card in a guest's namespace.

network_guest.py HOST_NAMESPACE TAP GUEST_NAMESPACE MAC
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys

from cumulet.network.drivers.linux import namespaces

TUNSETIFF, SIOCSIFHWADDR = 0x400454CA, 0x8924
IFF_TAP, IFF_NO_PI, ARPHRD_ETHER = 0x2, 0x1000, 1


def open_tap(name: str, mac: str | None = None) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    if mac:
        address = bytes.fromhex(mac.replace(":", ""))
        fcntl.ioctl(handle, SIOCSIFHWADDR, struct.pack("16sH6s16x", name.encode(), ARPHRD_ETHER, address))
    return handle


def main(host: str, tap: str, guest: str, mac: str) -> None:
    one = namespaces.inside(host, lambda: open_tap(tap))
    other = namespaces.inside(guest, lambda: open_tap("eth0", mac))
    print("ready", flush=True)
    while True:
        for handle in select.select([one, other], [], [])[0]:
            try:
                os.write(other if handle == one else one, os.read(handle, 1 << 16))
            except OSError:
                pass  # a card that is down takes no frames


if __name__ == "__main__":
    main(*sys.argv[1:])
