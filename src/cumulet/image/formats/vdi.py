"""VirtualBox disks: VDI, a little-endian header of 512 bytes. Source of offsets and limits: QEMU's block/vdi.c."""

from __future__ import annotations

import struct

from .probe import SECTOR, Found, Probe, rounded_up

MAGIC = 0xBEDA107F
VERSION = 0x00010001
DYNAMIC, FIXED = 1, 2
BLOCK = 1 << 20
"""The size of a block that every writer uses, and the one that QEMU can read."""


def probe() -> Probe:
    header = yield 0, 512
    if header[0x40:0x44] != struct.pack("<I", MAGIC):
        return None
    version, _, kind = struct.unpack_from("<III", header, 0x44)
    map_at, data_at = struct.unpack_from("<II", header, 0x154)
    (sector,) = struct.unpack_from("<I", header, 0x168)
    size, block = struct.unpack_from("<QI", header, 0x170)
    (blocks,) = struct.unpack_from("<I", header, 0x180)
    # The image that it was linked to, and its parent.
    (*others,) = struct.unpack_from("<8I", header, 0x1A8)
    if kind not in (DYNAMIC, FIXED) or any(others):
        return Found("vdi", size, "it is a differencing VDI, which needs another file as its parent")
    laid_out = version == VERSION and sector == SECTOR and block == BLOCK and map_at % SECTOR == data_at % SECTOR == 0
    if not laid_out or map_at < 512 or blocks != -(-size // BLOCK):
        return Found("vdi", size, "its VDI header is damaged, or of a version that nobody reads")
    return Found("vdi", rounded_up(size, SECTOR), least=map_at + 4 * blocks)
