"""Encrypted disks: LUKS. Source: LUKS on-disk format specification 1.2.3, section 2.1 (partition header)."""

from __future__ import annotations

from .probe import Found, Probe


def probe() -> Probe:
    """The disk is the whole file, header and all: who has the key opens it inside the guest or on top of a raw disk."""
    return Found("luks") if (yield 0, 8)[:6] == b"LUKS\xba\xbe" else None
