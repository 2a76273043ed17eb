"""The host's cache of image files: what root disks stand on, whatever becomes of the image in its store."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, RootDisk
from cumulet.compute.drivers.files import settle
from cumulet.kernel.process import CommandFailed, run

QEMU_NAMES = {"raw": "raw", "iso": "raw", "ami": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi"} | {
    "vhd": "vpc",
    "vhdx": "vhdx",
    "ploop": "parallels",
}
"""The name that qemu-img has for each disk format of the image service."""

INSPECT_BYTES, INSPECT_SECONDS = 1 << 30, 30
"""What qemu-img may use up while it reads the headers of a file that a user uploaded."""

CONVERT_SECONDS = 3600


class Images:
    """Files `directory/<image id>.<raw or qcow2>`, each whole from the moment it has its name."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: Counter[str] = Counter()

    def make_directory(self) -> None:
        """Where the files are, which QEMU is handed open: nobody but root has to get there."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)

    @contextlib.asynccontextmanager
    async def hold(self, disk: RootDisk) -> AsyncIterator[tuple[Path, str, int]]:
        """The cached file of a disk's image, its format (raw or qcow2) and virtual size in bytes.

        The file is safe from `prune` inside the block. Raises DriverError for an image that is missing,
        of an unknown format, or that refers to other files.
        """
        format = QEMU_NAMES.get(disk.image_format)
        if format is None:
            raise DriverError(f"image {disk.image}: this host cannot boot the disk format {disk.image_format}")
        cached_format = "raw" if format == "raw" else "qcow2"
        path = self._directory / f"{disk.image}.{cached_format}"
        self._held[path.name] += 1
        try:
            async with self._locks[path.name]:
                if not path.exists():
                    await self._fill(path, disk, format)
            yield path, cached_format, _virtual_size(path, cached_format)
        finally:
            self._held[path.name] -= 1

    def prune(self, disks: Iterable[Path]) -> None:
        """Remove every cached file that none of `disks` (qcow2 files) stands on."""
        used = {os.path.basename(backing) for disk in disks if (backing := qcow2.read(disk).backing)}
        for path in self._directory.iterdir():
            if path.name not in used and not self._held[path.name.removesuffix(".part")]:
                path.unlink(missing_ok=True)

    async def _fill(self, path: Path, disk: RootDisk, format: str) -> None:
        if disk.image_path is None or not os.path.exists(disk.image_path):
            raise DriverError(f"image {disk.image} is not on this host: there is no file {disk.image_path}")
        if format != "raw":
            await _inspect(disk, format)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            if format in ("raw", "qcow2"):
                await _link_or_copy(disk.image_path, part)
            else:
                await run(
                    *("qemu-img", "convert", "-f", format, "-O", "qcow2", disk.image_path, str(part)),
                    timeout=CONVERT_SECONDS,
                )
        except CommandFailed as error:
            raise DriverError(f"image {disk.image}: {error}") from None
        await asyncio.to_thread(settle, part, path)


async def _link_or_copy(source: str, part: Path) -> None:
    try:
        os.link(source, part)
    except OSError:
        await run("cp", "--reflink=auto", "--sparse=always", "--", source, str(part), timeout=CONVERT_SECONDS)


async def _inspect(disk: RootDisk, format: str) -> None:
    """Refuse an image that names other files: a guest would read them off this host."""
    limits = (f"--as={INSPECT_BYTES}", f"--cpu={INSPECT_SECONDS}")
    command = ("prlimit", *limits, "qemu-img", "info", "--output=json", "-f", format, str(disk.image_path))
    try:
        info = msgspec.json.decode(await run(*command))
    except CommandFailed as error:
        raise DriverError(f"image {disk.image} is not a sound {format} file: {error}") from None
    details = info.get("format-specific", {}).get("data", {})
    others = [info.get("backing-filename"), details.get("data-file")]
    others += [extent.get("filename") for extent in details.get("extents", [])]
    for other in others:
        if other and other != disk.image_path:
            raise DriverError(f"image {disk.image} refers to another file ({other}), which is not allowed")


def _virtual_size(path: Path, format: str) -> int:
    if format == "qcow2":
        return qcow2.read(path).size
    return -(-path.stat().st_size // 512) * 512
