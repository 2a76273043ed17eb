"""VirtualBox disks: VDI, a little-endian header of 512 bytes. Source of the offsets: QEMU's block/vdi.c."""

from __future__ import annotations

import struct

from .probe import Found, Probe

MAGIC = 0xBEDA107F
DYNAMIC, FIXED = 1, 2


def probe() -> Probe:
    header = yield 0, 512
    if header[0x40:0x44] != struct.pack("<I", MAGIC):
        return None
    (kind,) = struct.unpack_from("<I", header, 0x4C)
    (size,) = struct.unpack_from("<Q", header, 0x170)
    (*parent,) = struct.unpack_from("<4I", header, 0x1B8)
    if kind not in (DYNAMIC, FIXED) or any(parent):
        return Found("vdi", size, "it is a differencing VDI, which needs another file as its parent")
    return Found("vdi", size)
