"""Virtuozzo's and Parallels' expandable disks: ploop. Source: QEMU's docs/interop/parallels.txt (header)."""

from __future__ import annotations

import struct

from .probe import SECTOR, Found, Probe

OLD, NEW = b"WithoutFreeSpace", b"WithouFreSpacExt"
VERSION = 2
MOST_ENTRIES = 8 << 20
MOST_TRACKS = (2**31 - 1) // 513


def probe() -> Probe:
    """The older kind has a size of 32 bits, and what is beside it means nothing."""
    header = yield 0, 64
    if header[:16] not in (OLD, NEW):
        return None
    version, _, _, tracks, entries, sectors = struct.unpack_from("<IIIIIQ", header, 16)
    size = (sectors & 0xFFFFFFFF if header.startswith(OLD) else sectors) * SECTOR
    if any(header[56:64]):
        return Found("ploop", size, "it has a ploop format extension, which nobody reads")
    if version != VERSION or not 0 < tracks <= MOST_TRACKS or entries > MOST_ENTRIES or entries * tracks * SECTOR < size:
        return Found("ploop", size, "its ploop header is damaged, or of a version that nobody reads")
    return Found("ploop", size, least=64 + 4 * entries)
