"""The qcow2 header: reading what a disk stands on, and making empty disks without a helper process.

Layout from QEMU's docs/interop/qcow2.txt, version 3: 64 KiB clusters, 16-bit reference counts.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import msgspec

MAGIC = b"QFI\xfb"
CLUSTER = 1 << 16
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
BACKING_FORMAT = 0xE2792ACA
L1_REACH = CLUSTER // 8 * CLUSTER
"""Bytes of disk that one first-level entry covers: a table of 8-byte entries, each for one cluster."""


class Header(msgspec.Struct, frozen=True):
    """Virtual size in bytes, and the file (as written in the header) and format the disk stands on."""

    size: int
    backing: str | None
    backing_format: str | None


def read(path: Path) -> Header:
    """Read a qcow2 file's header. Raises ValueError for any other file."""
    with path.open("rb") as file:
        head = file.read(CLUSTER)
    if len(head) < 72 or head[:4] != MAGIC:
        raise ValueError(f"{path} is not a qcow2 file")
    version, offset, length = struct.unpack_from(">IQI", head, 4)
    size = struct.unpack_from(">Q", head, 24)[0]
    if not offset:
        return Header(size, None, None)
    extensions = _extensions(head, struct.unpack_from(">I", head, 100)[0] if version >= 3 else 72)
    backing_format = extensions.get(BACKING_FORMAT, b"").decode() or None
    return Header(size, os.fsdecode(head[offset : offset + length]), backing_format)


def _extensions(head: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            break
        found[kind] = head[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8
    return found


def empty(size: int, backing: str = "", backing_format: str = "") -> bytes:
    """The bytes of a qcow2 of `size` bytes (a multiple of 512) with nothing written yet, over `backing` if given."""
    name, kind = os.fsencode(backing), backing_format.encode()
    entries = max(1, -(-size // L1_REACH))
    table = -(-entries * 8 // CLUSTER)
    extension = struct.pack(">II", BACKING_FORMAT, len(kind)) + kind + bytes(-len(kind) % 8) if name else b""
    head = extension + bytes(8)
    offset = 104 + len(head) if name else 0
    # Clusters in order: header, reference count table, its one block, the first-level table.
    header = HEADER.pack(*(MAGIC, 3, offset, len(name), 16, size, 0, entries, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104))
    counts = struct.pack(">H", 1) * (3 + table)
    parts = (header + head + name, struct.pack(">Q", 2 * CLUSTER), counts)
    return b"".join(part.ljust(CLUSTER, b"\0") for part in parts) + bytes(table * CLUSTER)
