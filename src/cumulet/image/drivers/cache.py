"""A host's cache of image data: a file for each content, fetched once however many ask, which disks stand on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

from ...kernel.files import settle, sync
from ...kernel.process import CommandFailed, run
from .base import GRACE, LIKE_DISKS, ImageDriverError, ImageSource, Origin
from .clones import MAPPED, RECORD, CloneFailed, Clones
from .fetch import fetch
from .parts import writing
from .shelf import BYTES, QCOW2, RAW, Shelf, log
from .sound import inspect

GLANCE = 1.0
"""Seconds for which whoever wants an image in the cache is kept waiting."""
_Slot = tuple[str, bool]
"""What comes once: the key of a source, and whether it is taken as it is."""


class ImageCache(Shelf):
    """What hosts need of images is brought here once, and checked."""

    def __init__(self, directory: Path, users: Callable[[], set[str]] = set, *, most_gib: float = 0, days: float = 0,
                 clones: Clones | None = None):  # fmt: skip
        super().__init__(directory, users, most_gib=most_gib, days=days, clones=clones)
        self._coming: dict[_Slot, asyncio.Task[Path]] = {}
        self._failed: dict[_Slot, str] = {}

    # -- getting at images -----------------------------------------------------------------------------------------

    async def want(self, source: ImageSource, origin: Origin, *, cached: bool = False) -> bool:
        """See to it that the image's data gets to this host, to the cache if it is to be `cached` and else to either that or its path.
        Whether it is there by now: this does not wait long, who wants to know asks again. Raises ImageDriverError with what became of
        the last try, where that failed since this was last asked."""
        if self._find(source) or (_here(source) and not cached):
            return True
        if _slot(source) not in self._coming and (why := self._failed.pop(_slot(source), None)):
            raise ImageDriverError(why)
        await asyncio.wait([asyncio.ensure_future(self._have(source, origin))], timeout=GLANCE)
        return self._find(source) is not None

    @contextlib.asynccontextmanager
    async def base(self, source: ImageSource) -> AsyncIterator[tuple[Path, str]]:
        """A file of the cache with an image's data for a disk to stand on, and its format, raw or qcow2. It stays inside the block,
        and after it while one of `users` stands on it. An image that this host has at its path gets into the cache without
        another copy where the file system can do that. Raises ImageDriverError where the image is not on this host."""
        self._held[source.key] += 1
        try:
            path = await self._once(source, functools.partial(self._take_in, source))
            self._used(path, hits=1)
            yield await self._clones.base(path.stem) if path.suffix == RECORD else (path, "qcow2" if path.suffix == QCOW2 else "raw")
        finally:
            self._held[source.key] -= 1

    @contextlib.asynccontextmanager
    async def data(self, source: ImageSource) -> AsyncIterator[tuple[Path, str]]:
        """A file with an image's data to be read inside the block, and what qemu-img calls its format. Raises ImageDriverError."""
        if here := _here(source):
            yield here, "raw" if source.as_is else await inspect(source, here)
            return
        async with self.base(source) as found:
            yield found

    async def ready(self, files: Iterable[Path]) -> None:
        """Have those of these files that disks stand on given again that are read from elsewhere, before anybody opens one. Raises
        ImageDriverError."""
        for path in files:
            if path.suffix == MAPPED:
                await self._clones.base(path.stem)

    async def settled(self) -> None:
        """Wait until what was removed is gone."""
        await self._clones.settled()

    # -- filling ---------------------------------------------------------------------------------------------------

    async def _have(self, source: ImageSource, origin: Origin) -> None:
        take = functools.partial(self._take_in, source) if _here(source) else functools.partial(self._bring, source, origin)
        with contextlib.suppress(ImageDriverError):  # whoever asks again is told
            await self._once(source, take)

    async def _once(self, source: ImageSource, fill: Callable[[], Awaitable[Path]]) -> Path:
        """Have the file. Many may wait for it, who all get what becomes of the first one's try. Whoever ceases to wait does not end
        that."""
        if found := self._find(source):
            return found
        slot = _slot(source)
        coming = self._coming.get(slot)
        if coming is None:
            coming = self._coming[slot] = asyncio.create_task(self._explained(source, fill))
            coming.add_done_callback(lambda task: self._came(slot, task))
        return await asyncio.shield(coming)

    def _came(self, slot: _Slot, task: asyncio.Task[Path]) -> None:
        del self._coming[slot]
        self._failed.pop(slot, None)
        if not task.cancelled() and (error := task.exception()):
            self._failed[slot] = str(error)

    async def _explained(self, source: ImageSource, fill: Callable[[], Awaitable[Path]]) -> Path:
        seconds = source.seconds + GRACE
        try:
            async with asyncio.timeout(seconds):
                return await fill()
        except TimeoutError:
            raise ImageDriverError(f"image {source.id} was not in {self._directory} within {seconds:g} s") from None
        except CommandFailed as error:
            raise ImageDriverError(f"image {source.id}: {error}") from None
        except OSError as error:
            free = shutil.disk_usage(self._directory).free
            raise ImageDriverError(f"image {source.id} cannot be put in {self._directory}: {error}; {free} bytes are free") from None

    async def _bring(self, source: ImageSource, origin: Origin) -> Path:
        if self._clones.reach(source):
            try:
                return await self._clones.make(source)
            except (CloneFailed, CommandFailed, OSError) as error:
                log.warning("an image that is in Ceph is fetched, for there can be no clone of it", image=source.id, why=str(error))
        return await self._download(source, origin)

    async def _download(self, source: ImageSource, origin: Origin) -> Path:
        self._make_room(source)
        part = self._file(source, ".part")
        async with writing(part) as fd:
            if found := self._find(source):
                return found  # another process was at it
            await fetch(source, origin, fd, source.seconds)
            format, path = await self._judged(source, part)
            if format in LIKE_DISKS:
                await asyncio.to_thread(settle, part, path)
            else:
                await self._copied(source, part, format, path)
            return path

    async def _take_in(self, source: ImageSource) -> Path:
        here = _here(source)
        if here is None:
            raise ImageDriverError(f"image {source.id} is not on this host: neither at {source.path} nor in {self._directory}")
        format, path = await self._judged(source, here)
        if format in LIKE_DISKS:
            with contextlib.suppress(OSError):
                os.link(here, path)
                await asyncio.to_thread(sync, self._directory)
                return path
        await self._copied(source, here, format, path)
        return path

    async def _judged(self, source: ImageSource, there: Path) -> tuple[str, Path]:
        """What a file is to be opened as, and the name under which the cache is to have it. Raises ImageDriverError."""
        if source.as_is:
            return "raw", self._file(source, BYTES)
        format = await inspect(source, there)
        return format, self._file(source, RAW if format == "raw" else QCOW2)

    async def _copied(self, source: ImageSource, there: Path, format: str, path: Path) -> None:
        """A copy without the zeros, which is made what disks can stand on where it is not that."""
        part = self._file(source, ".copy.part")
        if format in LIKE_DISKS:
            command = ("cp", "--reflink=auto", "--sparse=always", "--", str(there), str(part))
        else:
            command = ("qemu-img", "convert", "-f", format, "-O", "qcow2", str(there), str(part))
        async with writing(part):
            await run(*command, timeout=source.seconds)
            await asyncio.to_thread(settle, part, path)


def _slot(source: ImageSource) -> _Slot:
    return source.key, source.as_is


def _here(source: ImageSource) -> Path | None:
    """The image's file, where this host has it."""
    if source.path is None:
        return None
    path = Path(source.path)
    try:
        return path if source.size in (None, path.stat().st_size) else None
    except OSError:
        return None
