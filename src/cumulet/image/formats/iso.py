"""CD and DVD images: ISO 9660 and UDF. Sources: ECMA-119 section 8, ECMA-167 part 2."""

from __future__ import annotations

from .probe import Found, Probe

MARKS = (b"CD001", b"BEA01", b"NSR02", b"NSR03")


def probe() -> Probe:
    """The first volume descriptor is in the 16th sector of 2048 bytes; the disk is the file itself."""
    descriptor = yield 16 * 2048, 6
    return Found("iso") if descriptor[1:] in MARKS else None
