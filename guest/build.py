#!/usr/bin/env python3
"""Build the guest image from Debian packages: `python3 guest/build.py OUTPUT.qcow2 [--cache DIR]`.

Needs neither root nor a loop device. The same packages give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import debian
import disk
import initramfs
import modules
import tree

HERE = Path(__file__).resolve().parent
LIMIT = 20_000_000
"""Bytes that the image may take."""

TOOLS = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "grub-mkimage": "grub-common",
    "qemu-img": "qemu-utils",
}
"""Host command -> the Debian package that has it."""


def main() -> int:
    """Parse the command line, build, and print where the image is."""
    parser = argparse.ArgumentParser(description="Build Cumulet's guest image from Debian packages.")
    parser.add_argument("output", type=Path, help="the qcow2 to write")
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cumulet/guest"
    parser.add_argument("--cache", type=Path, default=default, help=f"where packages are kept (default {default})")
    options = parser.parse_args()
    # mke2fs and debugfs are in sbin, which is not on every user's path.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.umask(0o022)
    try:
        build(options.output, options.cache)
    except debian.BuildError as error:
        print(f"guest image: {error}", file=sys.stderr)
        return 1
    return 0


def build(output: Path, cache: Path) -> None:
    """Write the image to `output`; BuildError says what stands in the way."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"guest image [{time.monotonic() - began:5.1f} s] {text}", flush=True)

    check_tools()
    output.parent.mkdir(parents=True, exist_ok=True)
    say("finding packages")
    kernel = debian.kernel_package()
    archives = debian.fetch(cache, [kernel, *debian.PACKAGES], say)
    with tempfile.TemporaryDirectory(prefix="guest-image-") as name:
        work = Path(name)
        say(f"unpacking {len(archives)} packages, kernel {kernel}")
        packages = work / "packages"
        debian.unpack(archives, packages)
        root = tree.plan(packages, HERE / "files")
        add_kernel(root, packages, kernel.removeprefix("linux-image-"), work)
        say(f"writing a file system of {len(root.nodes)} files")
        filesystem, raw = work / "root.ext4", work / "disk.raw"
        disk.make_filesystem(filesystem, root, work)
        disk.make_disk(raw, filesystem, disk.boot_loader(work))
        say("compressing")
        size = disk.make_qcow2(raw, output, LIMIT)
    say(f"{output}: {size / 1e6:.1f} MB")


def check_tools() -> None:
    """BuildError naming every missing host tool and the packages that have them."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    packages = {TOOLS[tool] for tool in missing}
    if not (disk.GRUB / "boot.img").exists():
        missing.append(str(disk.GRUB / "boot.img"))
        packages.add("grub-pc-bin")
    if missing:
        raise debian.BuildError(f"missing {', '.join(missing)}: run `apt-get install {' '.join(sorted(packages))}`")


def add_kernel(root: tree.Tree, packages: Path, version: str, work: Path) -> None:
    """Add the kernel, its modules and the initramfs to the tree."""
    directory = f"lib/modules/{version}"
    found = modules.Modules(packages / directory)
    everything = found.closure(modules.ROOT_DISK + modules.DEVICES)
    files = {f"{directory}/{file.relative_to(found.directory)}": file for file in everything}
    for name, content in found.indexes(everything).items():
        files[f"{directory}/{name}"] = written(work / name, content)
    for path, file in files.items():
        root.file(f"usr/{path}", file)
    root.file("boot/vmlinuz", packages / f"boot/vmlinuz-{version}")
    needed = {*found.closure(modules.ROOT_DISK), work / "modules.dep"}
    early = {"init": HERE / "initramfs-init"} | {path: file for path, file in files.items() if file in needed}
    head, tail = initramfs.around_shell(early, packages / "bin/busybox")
    root.file("boot/initrd.head", written(work / "initrd.head", head))
    root.file("boot/initrd.tail", written(work / "initrd.tail", tail))


def written(path: Path, content: bytes) -> Path:
    """Write a file of the work directory and return where it is."""
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    sys.exit(main())
