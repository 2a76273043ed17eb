"""The image's root file system as a plan: every path with its content, mode and owner, before any of it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from debian import BuildError, run

LIBRARIES = "usr/lib/x86_64-linux-gnu"

PROGRAMS = {
    "usr/bin/busybox": ("bin/busybox", 0o755),
    "usr/bin/bash": ("bin/bash", 0o755),
    "usr/bin/dropbear": ("usr/sbin/dropbear", 0o755),
    "usr/bin/dropbearkey": ("usr/bin/dropbearkey", 0o755),
    "usr/bin/dbclient": ("usr/bin/dbclient", 0o755),
    "usr/bin/really": ("usr/sbin/really", 0o4750),
    "usr/bin/mke2fs": ("sbin/mke2fs", 0o755),
    "usr/bin/e2fsck": ("sbin/e2fsck", 0o755),
    "usr/bin/resize2fs": ("sbin/resize2fs", 0o755),
    "usr/bin/blkid": ("sbin/blkid", 0o755),
    "usr/bin/nc.traditional": ("bin/nc.traditional", 0o755),
    "usr/lib/sftp-server": ("usr/lib/openssh/sftp-server", 0o755),
}
"""Path in the image -> path in the packages, and mode. One directory holds every command."""

SONAMES = (
    "libc.so.6",
    "libcrypt.so.1",
    "libz.so.1",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libgmp.so.10",
    "libext2fs.so.2",
    "libe2p.so.2",
    "libcom_err.so.2",
    "libblkid.so.1",
    "libuuid.so.1",
    "libtinfo.so.6",
)

LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib/x86_64-linux-gnu",
    "usr/sbin": "bin",
    "usr/lib64": "lib/x86_64-linux-gnu",
    "var/run": "../run",
    "etc/mtab": "../proc/self/mounts",
    "usr/bin/ping6": "ping",
    "usr/bin/ssh": "dbclient",
    "usr/bin/mkfs.ext2": "mke2fs",
    "usr/bin/mkfs.ext3": "mke2fs",
    "usr/bin/mkfs.ext4": "mke2fs",
    "usr/bin/fsck.ext4": "e2fsck",
}

DIRECTORIES = {
    "boot": 0o755,
    "dev": 0o755,
    "etc/dropbear": 0o700,
    "home/guest": 0o755,
    "media": 0o755,
    "mnt": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "var/lib/guest": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
}

OWNERS = {"home/guest": 1000}
MODES = {"etc/shadow": 0o600, "etc/inittab": 0o664}
"""`really` lets those become root who are in the group root and may write /etc/inittab."""


@dataclass(frozen=True)
class Node:
    """One path of the image: a directory, a symbolic link (`target`) or a regular file (`source`)."""

    mode: int
    owner: int = 0
    source: Path | None = None
    target: str | None = None


class Tree:
    """Paths, relative to the root, with their nodes; parents are made as they are needed."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def add(self, path: str, node: Node) -> None:
        parent = os.path.dirname(path)
        if parent and parent not in self.nodes:
            self.add(parent, Node(0o755))
        self.nodes[path] = node

    def file(self, path: str, source: Path, mode: int = 0o644) -> None:
        if not source.is_file():
            raise BuildError(f"{source} is missing: the image wants it as /{path}")
        self.add(path, Node(mode, source=source.resolve()))

    def link(self, path: str, target: str) -> None:
        self.add(path, Node(0o777, target=target))


def plan(packages: Path, own: Path) -> Tree:
    """The tree without kernel and modules: programs of the unpacked `packages`, then this project's `own` files.

    A busybox command gives way to a program or script of the same name.
    """
    tree = Tree()
    for path, mode in DIRECTORIES.items():
        tree.add(path, Node(mode, OWNERS.get(path, 0)))
    for path, (source, mode) in PROGRAMS.items():
        tree.file(path, packages / source, mode)
    for name in ("ld-linux-x86-64.so.2", *SONAMES):
        tree.file(f"{LIBRARIES}/{name}", _library(packages, name), 0o755)
    for path, target in LINKS.items():
        tree.link(path, target)
    for source in sorted(p for p in own.rglob("*") if p.is_file()):
        path = str(source.relative_to(own))
        executable = 0o755 if source.read_bytes().startswith(b"#!") else 0o644
        tree.file(path, source, MODES.get(path, executable))
    for applet in run(packages / "bin/busybox", "--list").split():
        if f"usr/bin/{applet}" not in tree.nodes:
            tree.link(f"usr/bin/{applet}", "busybox")
    return tree


def _library(packages: Path, name: str) -> Path:
    for directory in (LIBRARIES, "lib/x86_64-linux-gnu"):
        if (packages / directory / name).exists():
            return packages / directory / name
    raise BuildError(f"none of the packages holds the library {name}")
