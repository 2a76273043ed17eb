"""Booting a kernel of its own, with a ramdisk and a command line, instead of what a disk has."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cumulet.compute.drivers.base import DriverError, Machine, RootDisk, source_of
from cumulet.compute.drivers.qemu.command import Descriptors
from cumulet.compute.drivers.qemu.disks import check_name
from cumulet.image.drivers.base import ImageDriverError
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel.files import settle
from cumulet.kernel.process import CommandFailed, run

COPY_SECONDS = 600
SUFFIX = ".boot"


async def prepare(directory: Path, machine: Machine, images: ImageCache, group: int) -> None:
    """Copy kernel and ramdisk beside the server's disks, for `group` to read, and remove those of an earlier image.

    They stay as they are whatever becomes of the image. Raises DriverError.
    """
    wanted = {path_of(directory, image): image for image in machine.boots}
    for path, image in wanted.items():
        if not path.exists():
            await _bring(image, path, images, group)
    for other in directory.glob(f"*{SUFFIX}"):
        if other not in wanted:
            other.unlink()


def arguments(directory: Path, machine: Machine, files: Descriptors) -> list[str]:
    """QEMU's options; its files are opened into `files`."""
    argv: list[str] = []
    for option, image in (("-kernel", machine.kernel), ("-initrd", machine.ramdisk)):
        if machine.kernel and image:
            argv += [option, _name(files.keep(os.open(path_of(directory, image), os.O_RDONLY | os.O_CLOEXEC)))]
    return [*argv, "-append", machine.command_line] if argv else []


def path_of(directory: Path, image: RootDisk) -> Path:
    """Where a server's copy of a kernel or ramdisk is."""
    check_name(str(image.image), "image id")
    return directory / f"{image.image}{SUFFIX}"


def _name(fd: int) -> str:
    """What QEMU opens: it knows descriptor sets for disks only. The kernel opens the same file anew for that, so that the
    server's group has to be allowed to read it."""
    return f"/proc/self/fd/{fd}"


async def _bring(image: RootDisk, path: Path, images: ImageCache, group: int) -> None:
    try:
        async with images.data(source_of(image)) as (data, _):
            await _copy(data, path, group)
    except ImageDriverError as error:
        raise DriverError(str(error)) from None


async def _copy(data: Path, path: Path, group: int) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        await run("cp", "--reflink=auto", "--remove-destination", "--", str(data), str(part), timeout=COPY_SECONDS)
        os.chown(part, 0, group)
        part.chmod(0o440)
        await asyncio.to_thread(settle, part, path)
    except (OSError, CommandFailed) as error:
        raise DriverError(f"{path}: {error}") from None
