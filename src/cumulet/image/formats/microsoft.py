"""Microsoft's disks: VHD (QEMU's name is vpc) and VHDX.

Sources: Virtual Hard Disk Image Format Specification 1.0 (footer); MS-VHDX sections 2.2.3 (region table) and
2.6 (metadata region).
"""

from __future__ import annotations

import struct
import uuid

from .probe import Found, Probe

DIFFERENCING = 4

REGION_TABLE = 192 << 10
TABLE_LENGTH = 64 << 10
"""Length of the region table and of the metadata table: a head of 16 or 32 bytes and at most 2047 entries of 32."""
METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
VIRTUAL_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
PARENT_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le


def vhd() -> Probe:
    """Fixed disks have the footer at the end only; the other kinds have a copy of it at the beginning too."""
    footer = yield 0, 512
    if not footer.startswith(b"conectix"):
        footer = yield -512, 512
    if not footer.startswith(b"conectix"):
        return None
    (size,) = struct.unpack_from(">Q", footer, 48)
    (kind,) = struct.unpack_from(">I", footer, 60)
    if kind == DIFFERENCING:
        return Found("vhd", size, "it is a differencing VHD, which needs another file as its parent")
    return Found("vhd", size)


def vhdx() -> Probe:
    """The size is an item of the metadata region, whose place the region table tells."""
    if (yield 0, 8) != b"vhdxfile":
        return None
    regions = _offsets((yield REGION_TABLE, TABLE_LENGTH), b"regi", count_at="<8xI", head=16, entry="<Q")
    if METADATA not in regions:
        return Found("vhdx", 0, "its VHDX region table is damaged")
    start = regions[METADATA]
    items = _offsets((yield start, TABLE_LENGTH), b"metadata", count_at="<10xH", head=32, entry="<I")
    if PARENT_LOCATOR in items:
        return Found("vhdx", 0, "it is a differencing VHDX, which needs another file as its parent")
    if VIRTUAL_DISK_SIZE not in items:
        return Found("vhdx", 0, "its VHDX metadata are damaged")
    (size,) = struct.unpack("<Q", (yield start + items[VIRTUAL_DISK_SIZE], 8))
    return Found("vhdx", size)


def _offsets(table: bytes, signature: bytes, *, count_at: str, head: int, entry: str) -> dict[bytes, int]:
    """GUID -> offset of every entry of a VHDX table; none where the signature is not the right one."""
    if not table.startswith(signature):
        return {}
    (count,) = struct.unpack_from(count_at, table)
    starts = range(head, head + 32 * min(count, 2047), 32)
    return {table[at : at + 16]: struct.unpack_from(entry, table, at + 16)[0] for at in starts}
