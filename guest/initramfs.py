"""The initramfs, in two files that the boot loader joins around a third: busybox, stored once, in the root file system.

The format is cpio's `newc` (Documentation/driver-api/early-userspace/buffer-format.rst in the kernel). A boot loader
puts several initrd files one after the other, each padded to four bytes, which is newc's own padding.
"""

from __future__ import annotations

from pathlib import Path

SHELL = "bin/busybox"


def around_shell(files: dict[str, Path], shell: Path) -> tuple[bytes, bytes]:
    """What comes before and after `shell` in an archive of it and `files` (archive path -> file, all executable)."""
    names = [*files, SHELL]
    directories = sorted({str(parent) for name in names for parent in Path(name).parents if parent != Path(".")})
    head = b"".join(_header(name, 0o040755, 0) for name in directories)
    for name, file in files.items():
        content = file.read_bytes()
        head += _header(name, 0o100755, len(content)) + _padded(content)
    head += _header(SHELL, 0o100755, shell.stat().st_size)
    return head, _header("TRAILER!!!", 0, 0)


def _header(name: str, mode: int, size: int) -> bytes:
    """Magic, then 13 numbers of 8 hex digits: inode, mode, uid, gid, links, time, size, 2 + 2 devices, name, check."""
    text = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(text), 0)
    return _padded(b"070701" + b"".join(b"%08x" % number for number in numbers) + text)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
