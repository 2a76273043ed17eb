"""Microsoft's newer disks: VHDX.

Source: MS-VHDX sections 2.2.2 (headers), 2.2.3 (region table), 2.6 (metadata region); QEMU's block/vhdx.c for limits.
"""

from __future__ import annotations

import itertools
import struct
import uuid
from collections.abc import Generator

from .probe import SECTOR, Found, Probe

MIB = 1 << 20
HEADERS = (64 << 10, 128 << 10)
REGION_TABLE = 192 << 10
TABLE_LENGTH = 64 << 10
"""Length of the region table and of the metadata table: a head of 16 or 32 bytes and at most 2047 entries of 32."""
METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
BLOCKS = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le

PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
VIRTUAL_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
PAGE_83 = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746").bytes_le
LOGICAL_SECTOR = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
PHYSICAL_SECTOR = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556").bytes_le
ITEMS = {PARAMETERS: 8, VIRTUAL_DISK_SIZE: 8, PAGE_83: 16, LOGICAL_SECTOR: 4, PHYSICAL_SECTOR: 4}
"""Items of the metadata region, and how long they are; a disk that stands alone has all of these."""
PARENT_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le

HAS_PARENT = 1 << 1
BLOCK_SIZES = {1 << bits for bits in range(20, 29)}
MOST_TABLE = 64 << 20
"""Bytes of block allocation table."""

TABLES, ITEMS_DAMAGED = "its VHDX region table is damaged", "its VHDX metadata are damaged"

_CRC = [0] * 256
for _byte in range(256):
    _CRC[_byte] = _byte
    for _ in range(8):
        _CRC[_byte] = _CRC[_byte] >> 1 ^ (0x82F63B78 if _CRC[_byte] & 1 else 0)


def probe() -> Probe:
    """The size is an item of the metadata region, whose place the region table tells."""
    if (yield 0, 8) != b"vhdxfile":
        return None
    headers = []
    for at in HEADERS:
        headers.append((yield at, 4096))
    header = _newest(headers)
    if header is None:
        return Found("vhdx", 0, "its VHDX headers are damaged")
    if any(header[48:64]):
        # There is a log, of changes that a reader would first have to make. What its tables say now would not hold.
        return Found("vhdx", 0, "it was not closed properly; open it once where it was made")
    log_version, _, *log = struct.unpack_from("<HHIQ", header, 64)
    table = yield REGION_TABLE, TABLE_LENGTH
    regions = _entries(table, b"regi", count_at="<8xI", head=16, entry="<QI")
    if regions is None or not _sum_holds(table) or METADATA not in regions or BLOCKS not in regions or len(regions) != 2 or log_version:
        return Found("vhdx", 0, TABLES)
    (start, _), (blocks_at, length) = regions[METADATA], regions[BLOCKS]
    places = sorted([(log[1], log[0]), *regions.values()])
    if places[0][0] < MIB or log[1] % MIB or any(at + size > after for (at, size), (after, _) in itertools.pairwise(places)):
        return Found("vhdx", 0, TABLES)
    items = _entries((yield start, TABLE_LENGTH), b"metadata", count_at="<10xH", head=32, entry="<II")
    if items is not None and PARENT_LOCATOR in items:
        return Found("vhdx", 0, "it is a differencing VHDX, which needs another file as its parent")
    if items is None or not items.keys() >= ITEMS.keys():
        return Found("vhdx", 0, ITEMS_DAMAGED)
    values = yield from _values(start, items)
    (size,), (block, flags) = struct.unpack("<Q", values[VIRTUAL_DISK_SIZE]), struct.unpack("<II", values[PARAMETERS])
    if flags & HAS_PARENT:
        return Found("vhdx", size, "it is a differencing VHDX, which needs another file as its parent")
    if values[LOGICAL_SECTOR] != struct.pack("<I", SECTOR) or block not in BLOCK_SIZES or size % SECTOR:
        return Found("vhdx", size, ITEMS_DAMAGED)
    if not _table_size(size, block) <= length <= MOST_TABLE:
        return Found("vhdx", size, TABLES)
    return Found("vhdx", size, least=blocks_at + length)


def _newest(headers: list[bytes]) -> bytes | None:
    """The header that counts: two take turns, and it is the newer one of those that are whole."""
    whole = {header: struct.unpack_from("<Q", header, 8)[0] for header in headers if _is_whole(header)}
    newest = [header for header, number in whole.items() if number == max(whole.values())]
    return newest[0] if len(newest) == 1 else None


def _is_whole(header: bytes) -> bool:
    """Whether it is a header of the version that there is. Its checksum is told last: it takes long."""
    return header.startswith(b"head") and header[66:68] == b"\1\0" and len(header) == 4096 and _sum_holds(header)


def _sum_holds(block: bytes) -> bool:
    """Whether the CRC-32C at offset 4 of a block is that of the rest."""
    crc = 0xFFFFFFFF
    for byte in block[:4] + bytes(4) + block[8:]:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return struct.pack("<I", crc ^ 0xFFFFFFFF) == block[4:8]


def _values(start: int, items: dict[bytes, tuple[int, ...]]) -> Generator[tuple[int, int], bytes, dict[bytes, bytes]]:
    """Every item, which are read as they lie. Raises struct.error where one is not whole."""
    values = {}
    for name in sorted(ITEMS, key=lambda name: items[name][0]):
        values[name] = yield start + items[name][0], ITEMS[name]
    return values


def _table_size(size: int, block: int) -> int:
    """Bytes of a block allocation table: an entry of 8 for each block, and one after each group of them."""
    blocks, group = -(-size // block), (SECTOR << 23) // block
    return 8 * (blocks + max(0, blocks - 1) // group)


def _entries(table: bytes, signature: bytes, *, count_at: str, head: int, entry: str) -> dict[bytes, tuple[int, ...]] | None:
    """GUID -> offset and length of every entry of a VHDX table. None where it is not one, or has something twice."""
    if not table.startswith(signature) or len(table) != TABLE_LENGTH:
        return None
    (count,) = struct.unpack_from(count_at, table)
    starts = range(head, head + 32 * min(count, 2047), 32)
    found = {table[at : at + 16]: struct.unpack_from(entry, table, at + 16) for at in starts}
    return found if len(found) == count else None
