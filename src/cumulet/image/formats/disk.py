"""Raw disks with a partition table: MBR and GPT.

Source: UEFI specification 2.10, chapter 5 (protective MBR, GPT header).
"""

from __future__ import annotations

from .probe import Found, Probe

ENTRIES = range(446, 510, 16)
PROTECTIVE = 0xEE


def probe() -> Probe:
    """A disk whose first sector is a master boot record with at least one partition."""
    sector = yield 0, 512
    if sector[510:] != b"\x55\xaa" or _is_fat(sector):
        return None
    flags, types = {sector[entry] for entry in ENTRIES}, {sector[entry + 4] for entry in ENTRIES}
    if not flags <= {0x00, 0x80} or types == {0}:
        return None
    return Found("raw", partitions="gpt" if PROTECTIVE in types else "mbr")


def _is_fat(sector: bytes) -> bool:
    """A FAT file system's first sector carries the same signature; it has two tables and a fixed-disk descriptor."""
    return sector[0x10] == 2 and sector[0x15] == 0xF8
