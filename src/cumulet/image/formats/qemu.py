"""QEMU's own formats: qcow2, the older qcow, and QED.

Sources: QEMU's docs/interop/qcow2.txt (header, header extensions, incompatible features) and the limits of
block/qcow2.h; docs/interop/qed_spec.txt; block/qcow.c.
"""

from __future__ import annotations

import struct
from collections.abc import Generator

from .probe import SECTOR, Found, Probe

CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 3, 1 << 4
KNOWN_FEATURES = 0b11111
"""Dirty, corrupt, external data file, compression type, extended L2 entries."""
RAW_DATA_FILE = 1 << 1
"""An autoclear feature."""

OTHER_FILES = {0x44415441: "an external data file", 0xE2792ACA: "the format of a backing file", 0x0537BE77: "where its keys are"}
"""Kinds of header extensions which no image has that stands alone."""
BITMAPS = 0x23852875
MOST_EXTENSIONS = 64
"""Five kinds exist, each once; a header of nothing else would keep us busy for long."""

CLUSTER_BITS = range(9, 22)
MOST_TABLE, MOST_COUNTS = 32 << 20, 8 << 20
MOST_SNAPSHOTS = 1024
DAMAGED = "its qcow2 header is damaged"


def qcow() -> Probe:
    """qcow2 in versions 2 and 3, and version 1, which is another format with the same magic."""
    header = yield 0, 72
    if not header.startswith(b"QFI\xfb"):
        return None
    version, backing, _, cluster_bits = struct.unpack_from(">IQII", header, 4)
    (size,) = struct.unpack_from(">Q", header, 24)
    if version not in (2, 3):
        name = "qcow" if version == 1 else "qcow2"
        return Found(name, size, f"it is version {version} of qcow; only versions 2 and 3, which are qcow2, can be used")
    if backing:
        return Found("qcow2", size, "it has a backing file; convert it to one file that stands alone")
    if header[32:36] != bytes(4):
        return Found("qcow2", size, "it is encrypted inside, which no host can open; use LUKS in a raw image")
    if cluster_bits not in CLUSTER_BITS:
        return Found("qcow2", size, DAMAGED)
    start, entry_bits = 72, 3
    if version == 3:
        more = yield 72, 32
        features, _, _, _, start = struct.unpack(">QQQII", more)
        last = (yield 104, 8) if start > 104 else bytes(8)
        if fault := _feature_fault(more, last[:1], cluster_bits):
            return Found("qcow2", size, fault)
        entry_bits += features & EXTENDED_L2 > 0
    least = _tables(header, size, cluster_bits, entry_bits)
    if least is None:
        return Found("qcow2", size, DAMAGED)
    fault = yield from _extension_fault(start, 1 << cluster_bits)
    return Found("qcow2", size // SECTOR * SECTOR, fault, least=least)


def _feature_fault(more: bytes, compression: bytes, cluster_bits: int) -> str | None:
    """What is wrong with the part of the header that version 3 brought."""
    features, _, autoclear, order, length = struct.unpack(">QQQII", more)
    if features & DATA_FILE or autoclear & RAW_DATA_FILE:
        return "its data are in an external data file; convert it to one file that stands alone"
    if features & ~KNOWN_FEATURES:
        return f"it needs unknown qcow2 features (bits {features & ~KNOWN_FEATURES:#x})"
    if features & CORRUPT:
        return "its header says that it is corrupt; repair it by `qemu-img check -r all`"
    if not 104 <= length <= 1 << cluster_bits or length % 8 or order > 6 or (features & EXTENDED_L2 and cluster_bits < 14):
        return DAMAGED
    if compression != (b"\1" if features & COMPRESSION else b"\0"):
        return "its compression type is unknown, or contradicts its features"
    return None


def _tables(header: bytes, size: int, cluster_bits: int, entry_bits: int) -> int | None:
    """How long the file has to be to hold its tables. None where they are too large, not aligned or cannot be."""
    cluster = 1 << cluster_bits
    _, entries, table, counts, count_clusters, snapshots, snapshots_at = struct.unpack_from(">IIQQIIQ", header, 32)
    needed = -(-size // (1 << (2 * cluster_bits - entry_bits)))
    if not needed <= entries <= MOST_TABLE // 8 or not 0 < count_clusters <= MOST_COUNTS >> cluster_bits or snapshots > MOST_SNAPSHOTS:
        return None
    if table % cluster or counts % cluster or snapshots_at % cluster:
        return None
    return max(table + 8 * entries, counts + 8, snapshots_at + 40 * snapshots)


def _extension_fault(at: int, end: int) -> Generator[tuple[int, int], bytes, str | None]:
    """Go through the header's extensions, which lie between `at` and the `end` of the first cluster."""
    for _ in range(MOST_EXTENSIONS):
        if at + 8 > end:
            return None
        kind, length = struct.unpack(">II", (yield at, 8).ljust(8, b"\0"))
        if length > end - at - 8 or (kind == BITMAPS and length != 24):
            return DAMAGED
        if kind == 0:
            return None
        if kind in OTHER_FILES:
            return f"it names {OTHER_FILES[kind]}; convert it to one file that stands alone and is not encrypted"
        at += 8 + -(-length // 8) * 8
    return DAMAGED


def qed() -> Probe:
    header = yield 0, 56
    if not header.startswith(b"QED\0"):
        return None
    (size,) = struct.unpack_from("<Q", header, 48)
    return Found("qed", size, "QED images cannot be used; convert it to qcow2")
