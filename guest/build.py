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
import modules
import tree

HERE = Path(__file__).resolve().parent
LIMIT = 20_000_000

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
        initramfs = add_kernel(root, packages, kernel.removeprefix("linux-image-"), work)
        say(f"writing a file system of {len(root.nodes)} files")
        filesystem, raw = work / "root.ext4", work / "disk.raw"
        disk.make_filesystem(filesystem, root, work)
        disk.make_disk(raw, filesystem, disk.boot_loader(initramfs, work))
        say("compressing")
        disk.make_qcow2(raw, output)
    size = output.stat().st_size
    if size > LIMIT:
        raise debian.BuildError(f"{output} takes {size} bytes, over the limit of {LIMIT}: drop something from it")
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


def add_kernel(root: tree.Tree, packages: Path, version: str, work: Path) -> list[str]:
    """Add the kernel and its modules to the tree; returns GRUB's arguments for the initramfs."""
    directory = f"usr/lib/modules/{version}"
    found = modules.Modules(packages / "lib/modules" / version)
    early = found.closure(modules.ROOT_DISK)
    everything = found.closure(modules.ROOT_DISK + modules.DEVICES)
    root.file("boot/vmlinuz", packages / f"boot/vmlinuz-{version}")
    for file in everything:
        root.file(f"{directory}/{file.relative_to(found.directory)}", file)
    for name, content in found.indexes(everything).items():
        (work / name).write_bytes(content)
        root.file(f"{directory}/{name}", work / name)
    early_paths = [f"{directory}/{file.relative_to(found.directory)}" for file in early]
    own = [f"{directory}/modules.dep", "usr/bin/busybox"]
    return ["newc:init:/usr/lib/guest/init", *(f"newc:{path.removeprefix('usr/')}:/{path}" for path in own + early_paths)]


if __name__ == "__main__":
    sys.exit(main())
