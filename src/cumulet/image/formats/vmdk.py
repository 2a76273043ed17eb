"""VMware disks: VMDK, of which only the kinds that are one file with its data inside can be used.

Source: Virtual Disk Format 5.0 (sparse extent header, descriptor, stream markers). A descriptor can name any file
of the machine that opens it as an extent or as a parent, so every line of it must be understood.
"""

from __future__ import annotations

import re
import struct

from .probe import Found, Probe

SECTOR = 512
ONE_FILE = {"monolithicsparse", "streamoptimized"}
MAX_DESCRIPTOR = 64 << 10
AT_END = 2**64 - 1
FOOTER_MARKER, END_MARKER = struct.pack("<QII496x", 1, 0, 3), bytes(SECTOR)

FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^"\s]*))')
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
    fault = _descriptor_fault((yield SECTOR, sectors * SECTOR))
    if fault is None and directory == AT_END:
        fault = _footer_fault(head, (yield -3 * SECTOR, 3 * SECTOR))
    return Found("vmdk", size, fault)


def _is_text(head: bytes) -> bool:
    """Whether a hypervisor would take it for a descriptor: its first line that says anything is `version=`."""
    if head.startswith(b"# Disk DescriptorFile"):
        return True
    lines = (line.strip() for line in head.split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"").startswith(b"version=")


def _descriptor_fault(descriptor: bytes) -> str | None:
    """Why the embedded descriptor must not be trusted. Its text ends at the first zero byte; case means nothing."""
    text = descriptor.split(b"\0", 1)[0].decode("latin-1").lower()
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
    for name, value in fields:
        if name == "parentfilenamehint" or (name == "parentcid" and value != "ffffffff"):
            return "its VMDK descriptor names another file as its parent"
    return None


def _extent_fault(extents: list[tuple[str, str]]) -> str | None:
    if len(extents) != 1:
        return f"its VMDK descriptor has {len(extents)} extents, which are other files; there must be one, the file itself"
    [(kind, name)] = extents
    if kind != "sparse" or "/" in name or "\\" in name:
        return f"its VMDK extent is another file: {kind} {name[:64]!r}"
    return None


def _footer_fault(head: bytes, tail: bytes) -> str | None:
    """A stream's last sectors are a marker, a second header that overrules the first, and an empty marker."""
    marker, footer, end = tail[:SECTOR], tail[SECTOR : 2 * SECTOR], tail[2 * SECTOR :]
    if marker[8:] != FOOTER_MARKER[8:] or end != END_MARKER or not footer.startswith(b"KDMV"):
        return "its VMDK footer is missing or damaged"
    if footer[:56] != head[:56] or footer[56:64] == struct.pack("<Q", AT_END):
        return "its VMDK footer contradicts its header"
    return None
