"""Microsoft's older disks: VHD (QEMU's name is vpc), in its fixed and dynamic kinds.

Sources: Virtual Hard Disk Image Format Specification 1.0 (footer, dynamic header); QEMU's block/vpc.c for which of a
footer's two sizes counts.
"""

from __future__ import annotations

import struct

from .probe import SECTOR, Found, Probe

FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
DAMAGED = "its VHD header is damaged"

BY_SIZE = (b"win ", b"qem2", b"d2v ", b"CTXS")
"""Who wrote disks whose size is the one in the footer; of all others the geometry counts."""
LARGEST_GEOMETRY = 65535 * 16 * 255
MOST_SECTORS = 0xFF000000
"""2040 GiB."""
MOST_ENTRIES = 8 << 20
"""32 MiB of block allocation table."""


def probe() -> Probe:
    """Fixed disks have the footer at the end only; the other kinds have a copy of it at the beginning too."""
    footer, at_end = (yield 0, 512), False
    if not footer.startswith(b"conectix"):
        footer, at_end = (yield -512, 512), True
    if not footer.startswith(b"conectix"):
        return None
    (data_at,) = struct.unpack_from(">Q", footer, 16)
    kind, checksum = struct.unpack_from(">II", footer, 60)
    size = _size(footer)
    if kind == DIFFERENCING:
        return Found("vhd", size, "it is a differencing VHD, which needs another file as its parent")
    if len(footer) < 512 or kind != (FIXED if at_end else DYNAMIC) or checksum != _sum(footer, 64) or size > MOST_SECTORS * SECTOR:
        return Found("vhd", size, DAMAGED)
    if at_end:
        return Found("vhd", size, least=size + 512, whole_sectors=True)
    return _dynamic((yield data_at, 1024), data_at, size)


def _size(footer: bytes) -> int:
    """Bytes of a disk as QEMU sees it."""
    (size,) = struct.unpack_from(">Q", footer, 48)
    cylinders, heads, sectors = struct.unpack_from(">HBB", footer, 56)
    geometry = cylinders * heads * sectors
    if geometry == LARGEST_GEOMETRY or footer[28:32] in BY_SIZE or footer[28:31] == b"tap":
        return size // SECTOR * SECTOR
    return geometry * SECTOR


def _sum(header: bytes, checksum_at: int) -> int:
    """The checksum of a footer or header: the complement of the sum of its bytes, without the checksum's own."""
    return ~(sum(header) - sum(header[checksum_at : checksum_at + 4])) & 0xFFFFFFFF


def _dynamic(header: bytes, at: int, size: int) -> Found:
    """What the header of a dynamic disk says of its table of blocks. It has room for a parent's name and ways to it."""
    (table_at,) = struct.unpack_from(">Q", header, 16)
    entries, block, checksum = struct.unpack_from(">III", header, 28)
    if any(header[40:56]) or any(header[64:768]):
        return Found("vhd", size, "its VHD header names another file as its parent")
    sound = header.startswith(b"cxsparse") and len(header) == 1024 and checksum == _sum(header, 36)
    if not sound or block < SECTOR or block & (block - 1) or entries > MOST_ENTRIES or entries * block < size:
        return Found("vhd", size, DAMAGED)
    return Found("vhd", size, least=max(at + 1024, table_at + 4 * entries))
