"""Encrypted disks: LUKS. Source: LUKS on-disk format specification 1.2.3, section 2.1 (partition header)."""

from __future__ import annotations

import struct

from .probe import Found, Probe


def probe() -> Probe:
    """Version 1 tells where its data begin; a version 2 header does so in JSON, so its size is the whole file."""
    header = yield 0, 108
    if not header.startswith(b"LUKS\xba\xbe"):
        return None
    (version,) = struct.unpack_from(">H", header, 6)
    (payload,) = struct.unpack_from(">I", header, 104)
    return Found("luks", preamble=payload * 512 if version == 1 else 0)
