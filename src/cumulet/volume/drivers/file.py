"""Volumes as raw sparse files of one host: `volumes/<id>.raw` and `snapshots/<id>.raw` under one directory.

A file appears under its name only when it is whole: it is made in `incoming` and then linked. What a killed process
left in `incoming` is removed by open(). The agent makes the calls for one volume one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from ...image.drivers.base import QEMU_NAMES, ImageDriverError, ImageSource
from ...image.drivers.cache import ImageCache
from ...kernel import ids
from ...kernel.process import CommandFailed, run
from .base import Capacity, Source, VolumeDriverError

GIB = 1 << 30
PATIENCE = 24 * 3600
"""Seconds after which a copy is given up; who calls has a deadline of its own, which is shorter."""


class _Information(msgspec.Struct, rename="kebab"):
    virtual_size: int


class FileDriver:
    """Volumes in `root`. They belong to this process, and nobody else reads them: guests are handed them open. `images` is the
    host's cache of those that volumes are made of."""

    def __init__(self, root: Path, images: ImageCache):
        self._images = images
        self._root = root.absolute()
        self._volumes, self._snapshots, self._incoming = (self._root / name for name in ("volumes", "snapshots", "incoming"))

    async def open(self) -> None:
        with _explained(self._root):
            for directory in (self._root, self._volumes, self._snapshots, self._incoming):
                directory.mkdir(0o711, parents=True, exist_ok=True)
            for left in self._incoming.iterdir():
                left.unlink(missing_ok=True)

    async def capacity(self) -> Capacity:
        usage = os.statvfs(self._root)
        return Capacity(
            total_gib=usage.f_blocks * usage.f_frsize / GIB,
            free_gib=usage.f_bavail * usage.f_frsize / GIB,
            thin=True,
            protocol="file",
            vendor="Cumulet",
        )

    async def list(self) -> dict[str, list[str]]:
        return {kind.name: sorted(path.stem for path in kind.glob("*.raw")) for kind in (self._volumes, self._snapshots)}

    async def create(self, id: str, size_gib: int, source: Source) -> None:
        """Raises VolumeDriverError where the source is missing, unreadable or larger than the volume."""
        target = self._volume(id)
        if target.exists():
            return
        async with self._new_file(id) as new:
            await self._fill(new, size_gib * GIB, source)
            _grow(new, size_gib * GIB)
            await self._publish(new, target)

    async def _fill(self, new: Path, size: int, source: Source) -> None:
        match source:
            case Source(volume_id=None, snapshot_id=None, image=None):
                return
            case Source(volume_id=str(id), snapshot_id=None, image=None):
                await self._copy(_existing(self._volume(id), f"volume {id}"), new, size)
            case Source(volume_id=None, snapshot_id=str(id), image=None):
                await self._copy(_existing(self._snapshot(id), f"snapshot {id}"), new, size)
            case Source(volume_id=None, snapshot_id=None, image=ImageSource() as image):
                try:
                    async with self._images.data(image) as (path, format):
                        await self._convert(path, format, new, size)
                except ImageDriverError as error:
                    raise VolumeDriverError(str(error)) from None
            case _:
                raise VolumeDriverError("a volume starts from one thing: a volume, a snapshot or an image")

    async def delete(self, id: str) -> None:
        await self._remove(self._volume(id))

    async def delete_snapshot(self, id: str) -> None:
        await self._remove(self._snapshot(id))

    async def extend(self, id: str, size_gib: int) -> None:
        with _explained(self._root):
            _grow(_existing(self._volume(id), f"volume {id}"), size_gib * GIB)

    async def snapshot(self, id: str, volume_id: str) -> None:
        """A running guest's volume is copied as it is at that moment where the file system can share blocks
        (btrfs, XFS); elsewhere the guest's writes during the copy may or may not be in it."""
        target = self._snapshot(id)
        if target.exists():
            return
        volume = _existing(self._volume(volume_id), f"volume {volume_id}")
        async with self._new_file(id) as new:
            await self._copy(volume, new, volume.stat().st_size)
            await self._publish(new, target)

    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        """The volume keeps its size where it has grown since the snapshot; no guest may have it open."""
        volume = _existing(self._volume(volume_id), f"volume {volume_id}")
        snapshot = _existing(self._snapshot(snapshot_id), f"snapshot {snapshot_id}")
        size = volume.stat().st_size
        async with self._new_file(volume_id) as new:
            await self._copy(snapshot, new, size)
            _grow(new, size)
            await asyncio.to_thread(_sync, new)
            new.replace(volume)
            _sync(self._volumes)

    async def copy_to_image(self, id: str, path: str, format: str) -> None:
        """The file belongs to whom its directory belongs to, who alone can read it."""
        volume, target = _existing(self._volume(id), f"volume {id}"), Path(path).absolute()
        part = target.with_name(f"{target.name}.part")
        try:
            with _explained(target.parent):
                part.touch(0o600)
                owner = target.parent.stat()
                os.chown(part, owner.st_uid, owner.st_gid)
                await _qemu_img("convert", "-U", "-f", "raw", "-O", qemu_name(format), str(volume), str(part))
                await asyncio.to_thread(_sync, part)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    async def connection(self, id: str, host: str) -> dict:
        return {"driver": "file", "path": str(_existing(self._volume(id), f"volume {id}")), "format": "raw"}

    def _volume(self, id: str) -> Path:
        return self._volumes / _file_name(id)

    def _snapshot(self, id: str) -> Path:
        return self._snapshots / _file_name(id)

    @contextlib.asynccontextmanager
    async def _new_file(self, id: str) -> AsyncIterator[Path]:
        """An empty file in `incoming`, gone at the end of the block."""
        new = self._incoming / f"{id}.{ids.new_hex()}"
        try:
            with _explained(self._root):
                new.touch(0o600, exist_ok=False)
                yield new
        finally:
            new.unlink(missing_ok=True)

    async def _publish(self, new: Path, target: Path) -> None:
        """Linking never takes the place of a file: the volume of an earlier, forgotten call keeps its data."""
        await asyncio.to_thread(_sync, new)
        with contextlib.suppress(FileExistsError):
            os.link(new, target)
        _sync(target.parent)

    async def _copy(self, source: Path, new: Path, size: int) -> None:
        """A copy that shares blocks with its source where the file system can, else one without the zeros."""
        _must_fit(source.stat().st_size, size)
        await run(
            "env", "LC_ALL=C", "cp", "--reflink=auto", "--sparse=always", "--", str(source), str(new), timeout=PATIENCE
        )  # fmt: skip

    async def _convert(self, image: Path, format: str, new: Path, size: int) -> None:
        if format == "raw":
            return await self._copy(image, new, size)
        said = await _qemu_img("info", "--output=json", "-f", format, str(image))
        _must_fit(msgspec.json.decode(said, type=_Information).virtual_size, size)
        await _qemu_img("convert", "-f", format, "-O", "raw", str(image), str(new))

    async def _remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(path.unlink)
            _sync(path.parent)


def _file_name(id: str) -> str:
    if not ids.is_uuid(id):
        raise VolumeDriverError(f"{id!r} is not a UUID")
    return f"{id}.raw"


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise VolumeDriverError(f"{what} has no file at {path}")
    return path.absolute()


def qemu_name(format: str) -> str:
    """What qemu-img calls a disk format of the image API. Raises VolumeDriverError."""
    try:
        return QEMU_NAMES[format]
    except KeyError:
        raise VolumeDriverError(f"image format {format!r} is not one of {', '.join(QEMU_NAMES)}") from None


async def _qemu_img(*arguments: str) -> str:
    return await run("qemu-img", *arguments, timeout=PATIENCE)


def _must_fit(needed: int, size: int) -> None:
    if needed > size:
        raise VolumeDriverError(f"the source needs {-(-needed // GIB)} GiB, the volume has {size // GIB} GiB")


def _grow(path: Path, size: int) -> None:
    """Make a file longer, without using space. A shorter one is refused: data would be lost."""
    present = path.stat().st_size
    if size < present:
        raise VolumeDriverError(f"{path.stem} has {present / GIB:g} GiB and cannot shrink to {size / GIB:g} GiB")
    os.truncate(path, size)
    _sync(path)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn what the system or a command says into the driver's own error; a full disk with its figures."""
    try:
        yield
    except (OSError, CommandFailed) as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) if isinstance(error, OSError) else _NO_SPACE in error.said
        if not full:
            raise VolumeDriverError(str(error)) from error
        free = shutil.disk_usage(directory).free / GIB
        raise VolumeDriverError(f"no space left in {directory}: {free:.2f} GiB free") from error


_NO_SPACE = os.strerror(errno.ENOSPC)
