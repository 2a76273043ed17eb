"""Images for tests of the inspector: made by qemu-img, or by hand."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from cumulet.image.formats import Inspected, Inspector

MIB = 1 << 20
BOOT_SIGNATURE = 510
PARTITION = 446


def inspect(content: bytes, chunk: int = 65536) -> Inspected:
    inspector = Inspector()
    for at in range(0, len(content), chunk):
        inspector.feed(content[at : at + chunk])
    return inspector.finish()


def qemu_img(*arguments: str) -> bytes:
    return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True).stdout


def make(directory: Path, format: str, options: str = "", size: str = "24M") -> Path:
    path = directory / "image"
    qemu_img("create", "-q", "-f", format, *(["-o", options] if options else []), str(path), size)
    return path


def patched(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at] + data + content[at + len(data) :]


def partitioned(kind: int = 0x83) -> bytes:
    """A disk of 1 MiB with one partition."""
    disk = patched(bytes(MIB), PARTITION, bytes([0x80, 0, 2, 0, kind, 0, 0, 0]) + struct.pack("<II", 1, 2047))
    return patched(disk, BOOT_SIGNATURE, b"\x55\xaa")


def iso() -> bytes:
    return patched(bytes(MIB), 32768, b"\x01CD001\x01")


def vmdk(tmp_path: Path) -> bytes:
    return make(tmp_path, "vmdk", "subformat=streamOptimized").read_bytes()


def stream(tmp_path: Path, change: Callable[[bytes], bytes] = bytes) -> bytes:
    """A stream whose grain directory is told by a footer, as VMware's own tools write it."""
    content = vmdk(tmp_path)
    header = patched(content[:512], 56, b"\xff" * 8)
    marker = struct.pack("<QII496x", 1, 0, 3)
    return header + content[512:] + marker + change(content[:512]) + bytes(512)
