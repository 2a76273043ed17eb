"""QEMU's own formats: qcow2, the older qcow, and QED.

Sources: QEMU's docs/interop/qcow2.txt (header, incompatible features), docs/interop/qed_spec.txt, block/qcow.c.
"""

from __future__ import annotations

import struct

from .probe import Found, Probe

DATA_FILE = 1 << 2
KNOWN_FEATURES = 0b11111
"""Dirty, corrupt, external data file, compression type, extended L2 entries."""


def qcow() -> Probe:
    """qcow2 in versions 2 and 3, and version 1, which is another format with the same magic."""
    header = yield 0, 80
    if not header.startswith(b"QFI\xfb"):
        return None
    version, backing = struct.unpack_from(">IQ", header, 4)
    (size,) = struct.unpack_from(">Q", header, 24)
    if version not in (2, 3):
        name = "qcow" if version == 1 else "qcow2"
        return Found(name, size, f"it is version {version} of qcow; only versions 2 and 3, which are qcow2, can be used")
    if backing:
        return Found("qcow2", size, "it has a backing file; convert it to one file that stands alone")
    return Found("qcow2", size, _feature_fault(header) if version == 3 else None)


def _feature_fault(header: bytes) -> str | None:
    (features,) = struct.unpack_from(">Q", header, 72)
    if features & DATA_FILE:
        return "its data are in an external data file; convert it to one file that stands alone"
    if features & ~KNOWN_FEATURES:
        return f"it needs unknown qcow2 features (bits {features & ~KNOWN_FEATURES:#x})"
    return None


def qed() -> Probe:
    header = yield 0, 56
    if not header.startswith(b"QED\0"):
        return None
    (size,) = struct.unpack_from("<Q", header, 48)
    return Found("qed", size, "QED images cannot be used; convert it to qcow2")
