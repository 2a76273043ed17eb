"""Booting a kernel of its own, with a ramdisk and a command line, instead of what a disk has."""

from __future__ import annotations

import os
from pathlib import Path

from cumulet.compute.drivers.base import DriverError, Machine, RootDisk
from cumulet.compute.drivers.files import settle
from cumulet.compute.drivers.qemu.command import Descriptors
from cumulet.compute.drivers.qemu.disks import check_name
from cumulet.compute.drivers.qemu.images import Images
from cumulet.kernel.process import CommandFailed, run

COPY_SECONDS = 600
SUFFIX = ".boot"


async def prepare(directory: Path, machine: Machine, images: Images, group: int) -> None:
    """Copy kernel and ramdisk beside the server's disks, for `group` to read, and remove those of an earlier image.

    They stay as they are whatever becomes of the image. Raises DriverError.
    """
    wanted = {_path(directory, image): image for image in _images(machine)}
    for path, image in wanted.items():
        if not path.exists():
            async with images.hold(image) as (cached, _, _):
                await _copy(cached, path, group)
    for other in directory.glob(f"*{SUFFIX}"):
        if other not in wanted:
            other.unlink()


def arguments(directory: Path, machine: Machine, files: Descriptors) -> list[str]:
    """QEMU's options; its files are opened into `files`."""
    argv: list[str] = []
    for option, image in (("-kernel", machine.kernel), ("-initrd", machine.ramdisk)):
        if machine.kernel and image:
            argv += [option, _name(files.keep(os.open(_path(directory, image), os.O_RDONLY | os.O_CLOEXEC)))]
    return [*argv, "-append", machine.command_line] if argv else []


def _images(machine: Machine) -> list[RootDisk]:
    return [image for image in (machine.kernel, machine.ramdisk) if machine.kernel and image]


def _path(directory: Path, image: RootDisk) -> Path:
    """Where a server's copy of a kernel or ramdisk is."""
    check_name(str(image.image), "image id")
    return directory / f"{image.image}{SUFFIX}"


def _name(fd: int) -> str:
    """What QEMU opens: it knows descriptor sets for disks only. The kernel opens the same file anew for that, so that the
    server's group has to be allowed to read it."""
    return f"/proc/self/fd/{fd}"


async def _copy(cached: Path, path: Path, group: int) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        await run("cp", "--reflink=auto", "--remove-destination", "--", str(cached), str(part), timeout=COPY_SECONDS)
        os.chown(part, 0, group)
        part.chmod(0o440)
        settle(part, path)
    except (OSError, CommandFailed) as error:
        raise DriverError(f"{path}: {error}") from None
