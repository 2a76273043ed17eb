"""The disk files of a server's own directory, and how QEMU is told to open any disk.

QEMU opens no file by name: it is handed open descriptors (fdsets), so its user needs no right to any file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, RootDisk, VolumeDisk, source_of
from cumulet.compute.drivers.files import write_whole
from cumulet.image.drivers.base import ImageDriverError
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel.process import CommandFailed, run

GIB = 1 << 30
SAFE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")

Hand = Callable[[Path, bool], Awaitable[str]]
"""Opens a file (to write, if True) for QEMU and returns the name that QEMU has for it."""


class Layer(msgspec.Struct, frozen=True):
    """A file of a disk and its format; those below the first are only read."""

    path: Path
    format: str


def check_name(name: str, what: str) -> None:
    """Raise DriverError unless a name given from outside can be part of a file name."""
    if not SAFE_NAME.fullmatch(name):
        raise DriverError(f"{what} {name!r} is not made of letters, digits, - and _")


def root_path(directory: Path, disk: RootDisk) -> Path:
    """Where a root disk of this epoch is."""
    return directory / f"{disk.id}.{disk.epoch}.qcow2"


async def make_root(directory: Path, disk: RootDisk, images: ImageCache) -> None:
    """Make a root disk that is missing, grow one that is too small, remove those of older epochs.

    Raises DriverError where the image does not fit in `size_gib`.
    """
    check_name(disk.id, "disk id")
    path = root_path(directory, disk)
    if not path.exists():
        await _create(path, disk, images)
    elif qcow2.read(path).size < disk.size_gib * GIB:
        await _grow(path, disk.size_gib * GIB)
    for other in directory.glob(f"{disk.id}.*.qcow2"):
        if other != path:
            other.unlink()


async def ready(directory: Path, disks: Iterable[RootDisk], images: ImageCache) -> None:
    """See to it that what root disks stand on can be opened. Raises DriverError."""
    paths = [path for disk in disks if (path := root_path(directory, disk)).exists()]
    try:
        await images.ready(Path(backing) for path in paths if (backing := qcow2.read(path).backing))
    except (ImageDriverError, OSError, ValueError) as error:
        raise DriverError(f"the disks in {directory} cannot be used: {error}") from None


def standing_on(servers: Path) -> set[str]:
    """Names of the files that the disks of servers, each with a directory below this one, stand on."""
    found = set()
    for disk in servers.glob("*/*.qcow2"):
        with contextlib.suppress(FileNotFoundError):
            if backing := qcow2.read(disk).backing:
                found.add(os.path.basename(backing))
    return found


async def _create(path: Path, disk: RootDisk, images: ImageCache) -> None:
    size = disk.size_gib * GIB
    if disk.image is None:
        if not size:
            raise DriverError(f"disk {disk.id} has neither an image nor a size")
        await asyncio.to_thread(write_whole, path, qcow2.empty(size))
        return
    try:
        async with images.base(source_of(disk)) as (base, format):
            image_size = _virtual_size(base, format)
            if size and image_size > size:
                raise DriverError(f"image {disk.image} needs {image_size} bytes, more than the {disk.size_gib} GiB of disk {disk.id}")
            content = qcow2.empty(size or image_size, os.path.relpath(base, path.parent), format)
            await asyncio.to_thread(write_whole, path, content)
    except ImageDriverError as error:
        raise DriverError(str(error)) from None


def _virtual_size(path: Path, format: str) -> int:
    """Bytes of disk that an image has, in whole sectors."""
    if format == "qcow2":
        return qcow2.read(path).size
    return -(-path.stat().st_size // 512) * 512


async def _grow(path: Path, size: int) -> None:
    try:
        await run("qemu-img", "resize", "-q", "-f", "qcow2", str(path), str(size))
    except CommandFailed as error:
        raise DriverError(f"{path}: {error}") from None


def volume_layers(volume: VolumeDisk) -> list[Layer]:
    """The files of a volume, topmost first. Raises DriverError for a connection this host cannot make."""
    kind = volume.connection.get("driver")
    if kind != "file":
        raise DriverError(f"volume {volume.id}: this host cannot connect to a volume of driver {kind}")
    try:
        path, format = Path(volume.connection["path"]), volume.connection["format"]
    except KeyError as missing:
        raise DriverError(f"volume {volume.id}: its connection has no {missing}") from None
    return layers(path, format)


def layers(path: Path, format: str) -> list[Layer]:
    """A disk file and the files below it, topmost first, by what the qcow2 headers say."""
    found = [Layer(path, format)]
    try:
        while found[-1].format == "qcow2" and (header := qcow2.read(found[-1].path)).backing:
            below = found[-1].path.parent / header.backing
            if header.backing_format is None:
                raise DriverError(f"{found[-1].path} does not say the format of its backing file")
            found.append(Layer(below.resolve(), header.backing_format))
    except (OSError, ValueError) as error:
        raise DriverError(f"disk {path}: {error}") from None
    return found


async def blockdev(node: str, files: list[Layer], read_only: bool, hand: Hand) -> dict:
    """The `blockdev-add` arguments of a disk made of `files`, topmost first."""
    below: dict | None = None
    for depth, layer in reversed([*enumerate(files)]):
        writable = depth == 0 and not read_only
        options = {"driver": layer.format, "read-only": not writable, "discard": "unmap"}
        options["file"] = {
            "driver": "file",
            "filename": await hand(layer.path, writable),
            "read-only": not writable,
            "discard": "unmap",
        }
        if layer.format == "qcow2":
            options["backing"] = below
        below = options
    return {"node-name": node, **(below or {})}
