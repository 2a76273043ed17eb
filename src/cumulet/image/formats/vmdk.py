"""VMware disks: VMDK, of which only the kinds that are one file with its data inside can be used.

Source: Virtual Disk Format 5.0 (sparse extent header, descriptor, stream markers). A descriptor can name any file
of the machine that opens it as an extent or as a parent, so every line of it must be understood.
"""

from __future__ import annotations

import re
import struct

from .probe import SECTOR, Found, Probe

ONE_FILE = {"monolithicsparse", "streamoptimized"}
DESCRIPTOR = 20 * SECTOR
"""How much of a descriptor is looked at, however long the header says that it is."""
MAX_DESCRIPTOR = 64 << 10
AT_END = 2**64 - 1
FOOTER_MARKER, END_MARKER = struct.pack("<QII496x", 1, 0, 3), bytes(SECTOR)

HAS_COPY = 1 << 1
"""A flag of the header: there is a second grain directory."""
LARGEST_GRAIN = 0x200000
MOST_ENTRIES = 8 << 20
"""32 MiB of grain directory."""

FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^"\s]*))')
HEX = re.compile("[0-9a-f]{1,8}")
EXTENT = re.compile(r'(?:rw|rdonly|noaccess)\s+\d+\s+(\w+)\s+"([^"]*)"')


def probe() -> Probe:
    head = yield 0, SECTOR
    if head.startswith(b"COWD"):
        return Found("vmdk", 0, "it is one extent of an ESX disk; convert it to a monolithicSparse or streamOptimized VMDK")
    if not head.startswith(b"KDMV"):
        return Found("vmdk", 0, "it is a VMDK descriptor, whose data are in other files") if _is_text(head) else None
    capacity, at, sectors = struct.unpack_from("<Q8xQQ", head, 12)
    (directory,) = struct.unpack_from("<Q", head, 56)
    size = capacity * SECTOR
    if capacity == 0 or at != 1 or not 0 < sectors * SECTOR <= MAX_DESCRIPTOR:
        return Found("vmdk", size, "its VMDK descriptor is missing, or not where it belongs")
    least = _tables(head)
    if least is None:
        return Found("vmdk", size, "its VMDK header is damaged, or of a version that nobody reads")
    fault = _descriptor_fault((yield SECTOR, max(DESCRIPTOR, sectors * SECTOR)), sectors * SECTOR)
    if fault is None and directory == AT_END:
        fault, least = _footer_fault(head, (yield -3 * SECTOR, 3 * SECTOR))
    return Found("vmdk", size, fault, least=least, whole_sectors=directory == AT_END)


def _tables(head: bytes) -> int | None:
    """How long the file has to be to hold its grain directories. None where they are too large or cannot be."""
    version, flags, capacity, grain = struct.unpack_from("<IIQQ", head, 4)
    in_table, copy, directory, data = struct.unpack_from("<IQQQ", head, 44)
    (compression,) = struct.unpack_from("<H", head, 77)
    if not 1 <= version <= 3 or compression > 1 or not 0 < in_table <= 512 or not 0 < grain <= LARGEST_GRAIN:
        return None
    entries = -(-capacity // (in_table * grain))
    if entries > MOST_ENTRIES:
        return None
    at = [data * SECTOR] + [start * SECTOR + 4 * entries for start in (directory, *([copy] if flags & HAS_COPY else [])) if start != AT_END]
    return max(at)


def _is_text(head: bytes) -> bool:
    """Whether a hypervisor would take it for a descriptor: its first line that says anything is `version=`."""
    if head.startswith(b"# Disk DescriptorFile"):
        return True
    lines = (line.strip() for line in head.split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"").startswith(b"version=")


def _descriptor_fault(piece: bytes, length: int) -> str | None:
    """Why the embedded descriptor must not be trusted. Its text ends at the first zero byte; case means nothing. A parent
    is looked for anywhere in it, comments and all."""
    text = piece.split(b"\0", 1)[0].decode("latin-1").lower()
    if "parentfilenamehint" in text:
        return "its VMDK descriptor names another file as its parent"
    if len(text) > length:
        return "its VMDK descriptor goes on beyond its end"
    fields: list[tuple[str, str]] = []
    extents: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        if field := FIELD.fullmatch(line):
            fields.append((field[1], field[2] or field[3] or ""))
        elif extent := EXTENT.fullmatch(line):
            extents.append((extent[1], extent[2]))
        elif not line.startswith(("#", "ddb.")):
            return f"its VMDK descriptor has a line that is not understood: {line[:64]!r}"
    return _field_fault(fields) or _extent_fault(extents)


def _field_fault(fields: list[tuple[str, str]]) -> str | None:
    kinds = [value for name, value in fields if name == "createtype"]
    if not kinds or not ONE_FILE.issuperset(kinds):
        kind = ", ".join(kinds)[:64] or "missing"
        return f"its VMDK type is {kind}; only monolithicSparse and streamOptimized can be used"
    if any(name == "parentcid" and value != "ffffffff" for name, value in fields):
        return "its VMDK descriptor names another file as its parent"
    ids = [(name, value) for name, value in fields if name in ("cid", "parentcid")]
    if len(dict(ids)) < 2 or not all(HEX.fullmatch(value) for _, value in ids):
        return "its VMDK descriptor does not say its CID and parentCID"
    return None


def _extent_fault(extents: list[tuple[str, str]]) -> str | None:
    if len(extents) != 1:
        return f"its VMDK descriptor has {len(extents)} extents, which are other files; there must be one, the file itself"
    [(kind, name)] = extents
    if kind != "sparse" or "/" in name or "\\" in name:
        return f"its VMDK extent is another file: {kind} {name[:64]!r}"
    return None


def _footer_fault(head: bytes, tail: bytes) -> tuple[str | None, int]:
    """A stream's last sectors are a marker, a second header that overrules the first, and an empty marker; and how long the
    file has to be for what that header says."""
    marker, footer, end = tail[:SECTOR], tail[SECTOR : 2 * SECTOR], tail[2 * SECTOR :]
    if marker[8:] != FOOTER_MARKER[8:] or end != END_MARKER or not footer.startswith(b"KDMV"):
        return "its VMDK footer is missing or damaged", 0
    if footer[:56] != head[:56] or footer[56:64] == struct.pack("<Q", AT_END):
        return "its VMDK footer contradicts its header", 0
    least = _tables(footer)
    return ("its VMDK footer is damaged", 0) if least is None else (None, least)
