"""The disk: an ext4 partition written without mounting it, a boot loader, and the qcow2 around them.

Nothing here depends on the clock, the user or the order of a directory, so one input gives one output.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from debian import BuildError, run
from tree import Tree

MIB = 1 << 20
START = 1 * MIB
SIZE = 64 * MIB
SECTOR = 512
EPOCH = 1_700_000_000
STAMP = "20231114221320"
UUID = "6c1d6bd0-3c5b-4c56-9a1e-0c6cde7ab1e5"
LABEL = "guest-root"
GRUB = Path("/usr/lib/grub/i386-pc")

COMMAND_LINE = "console=tty0 console=ttyS0,115200 cryptomgr.notests"
"""The kernel's own tests of its ciphers would take 0.2 s of every boot."""

ENVIRONMENT = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": str(EPOCH)} | {"E2FSPROGS_FAKE_TIME": str(EPOCH)}


def make_filesystem(image: Path, tree: Tree, work: Path) -> None:
    """Make the ext4 file system `image` and write the whole tree into it.

    Room is reserved for growth to 256 GiB (past that the kernel finds another way); what growth adds needs no zeroing
    (uninit_bg). The journal must hold a transaction with all of the reserved descriptor blocks, here 32.
    """
    with image.open("wb") as file:
        file.truncate(SIZE - START)
    run(
        *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", LABEL, "-U", UUID, "-m", "0", "-N", "2048"),
        *("-O", "^metadata_csum,uninit_bg", "-J", "size=4"),
        *("-E", f"hash_seed={UUID},lazy_itable_init=0,lazy_journal_init=0,nodiscard,resize={1 << 26}"),
        image,
        env=ENVIRONMENT,
    )
    script = work / "debugfs"
    script.write_text("".join(line + "\n" for line in [*_writes(tree), *_stamps(tree)]))
    _debugfs(image, script)
    run("e2fsck", "-fn", image, env=ENVIRONMENT)


def _writes(tree: Tree) -> list[str]:
    """debugfs commands that make every node, in an order of their own and no directory's."""
    lines = []
    for path, node in sorted(tree.nodes.items()):
        parent, name = os.path.split(path)
        lines.append(f"cd /{parent}")
        if node.source:
            lines.append(f'write "{node.source}" {name}')
        elif node.target:
            lines.append(f"symlink {name} {node.target}")
        else:
            lines.append(f"mkdir {name}")
    return lines


def _stamps(tree: Tree) -> list[str]:
    """debugfs commands that set owner, mode and times; inodes 2, 7, 8 and 11 are the file system's own."""
    lines = []
    for path, node in tree.nodes.items():
        kind = 0o100000 if node.source else 0o120000 if node.target else 0o040000
        fields = {"mode": oct(kind | node.mode).replace("0o", "0"), "uid": node.owner, "gid": node.owner}
        lines += [f"sif /{path} {field} {value}" for field, value in fields.items()]
    for inode in ["<2>", "<7>", "<8>", "<11>", *(f"/{path}" for path in tree.nodes)]:
        for field in ("ctime", "atime", "mtime", "crtime"):
            lines += [f"sif {inode} {field} {STAMP}", f"sif {inode} {field}_extra 0"]
    return lines


def _debugfs(image: Path, script: Path) -> None:
    """Run a script of debugfs, which ends with 0 whatever happens but tells its errors."""
    done = run("debugfs", "-w", "-f", script, image, env=ENVIRONMENT)
    errors = [line for line in done.splitlines() if line and not line.startswith(("debugfs:", "Allocated inode"))]
    if errors:
        raise BuildError(f"debugfs: {errors[0]}")


def boot_loader(work: Path) -> bytes:
    """GRUB's core image, which loads the kernel and the initramfs from the root file system and has no menu."""
    config, core = work / "grub.cfg", work / "core.img"
    config.write_text(
        "serial --unit=0 --speed=115200\n"
        "terminal_output serial\n"
        f"linux /boot/vmlinuz {COMMAND_LINE}\n"
        "initrd /boot/initrd.head /usr/bin/busybox /boot/initrd.tail\n"
        "boot\n"
    )
    modules = ("biosdisk", "part_msdos", "ext2", "linux", "serial", "terminal", "boot")
    run("grub-mkimage", "-O", "i386-pc", "-d", GRUB, "-o", core, "-p", "(hd0,msdos1)/boot", "-c", config, *modules)
    return core.read_bytes()


def make_disk(disk: Path, filesystem: Path, core: bytes) -> None:
    """Write the raw disk: boot sector with the partition table, GRUB in the gap after it, the file system at 1 MiB."""
    if len(core) > START - SECTOR:
        raise BuildError(f"the boot loader takes {len(core)} bytes and the gap before the partition has {START}")
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", START // SECTOR, (SIZE - START) // SECTOR)
    boot = (GRUB / "boot.img").read_bytes()[:440]
    with disk.open("wb") as file:
        file.write(boot.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa" + core)
        file.truncate(SIZE)
        file.seek(START)
        file.write(filesystem.read_bytes())


def make_qcow2(disk: Path, output: Path, limit: int) -> int:
    """Compress the raw disk with zstd, which QEMU unpacks three times as fast as zlib, and return the size in bytes.

    `output` appears whole or not at all; BuildError if it would take more than `limit` bytes.
    """
    partial = output.with_name(output.name + ".partial")
    try:
        run("qemu-img", "convert", "-O", "qcow2", "-c", "-o", "compression_type=zstd", disk, partial)
        size = partial.stat().st_size
        if size > limit:
            raise BuildError(f"the image takes {size} bytes and may take {limit}: drop something from it")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return size
