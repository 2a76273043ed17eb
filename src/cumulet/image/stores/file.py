"""A store in a directory: one file a key; temporary files in `incoming` beside them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from ...kernel import ids
from .base import Accept, NoImageData, Store, Stored, StoreError
from .incoming import Digest, Incoming, remove_abandoned, settle, sync_directory

BATCH = 4 << 20
"""Bytes handed to the worker threads at once. An upload holds three of these, however big it is, and for a moment
those that a thread has done with and not yet let go."""
READ = 1 << 20


class FileStore(Store):
    """Data as files under `root`, which this process owns and its group may read."""

    def __init__(self, root: Path):
        self._root = root.absolute()
        self._incoming = self._root / "incoming"
        self.properties = {"data_dir": str(self._root), "chunk_size": READ, "thin_provisioning": False}

    def url(self, key: str) -> str:
        return f"file://{self.path(key)}"

    def path(self, key: str) -> Path:
        """Raises ValueError for a key that is not a UUID."""
        if not ids.is_uuid(key):
            raise ValueError(f"key {key!r} is not a UUID")
        return self._root / key

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        target = self.path(key)
        self._incoming.mkdir(0o750, parents=True, exist_ok=True)
        incoming, digest = Incoming(self._incoming, key), Digest()

        async def take(batch: bytes) -> None:
            await asyncio.gather(digest.feed(batch), asyncio.to_thread(incoming.write, batch))

        try:
            await _pass_on(chunks, take)
            stored = digest.finish(accept)
            await asyncio.to_thread(incoming.keep, target)
            return stored
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.close))

    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        """A file that this process owns is renamed where it can be; any other is copied and then removed."""
        target = self.path(key)
        self._incoming.mkdir(0o750, parents=True, exist_ok=True)
        try:
            found = path.lstat()
        except FileNotFoundError:
            # Taken over already, by a call that never came to say so.
            return await self._rename(target, target, accept)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} cannot be kept as {key}: it is not a regular file")
        if found.st_uid == os.geteuid() and found.st_dev == self._root.stat().st_dev:
            return await self._rename(path, target, accept)
        stored = await self.put(key, _read(_open(path), 0, None), accept)
        path.unlink(missing_ok=True)
        return stored

    async def _rename(self, source: Path, target: Path, accept: Accept | None) -> Stored:
        digest = Digest()
        await _pass_on(_read(_open(source), 0, None), digest.feed)
        stored = digest.finish(accept)
        await asyncio.to_thread(_settle, source, target)
        return stored

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return _read(_open(self.path(key)), start, end)

    async def delete(self, key: str) -> None:
        path = self.path(key)
        if path.exists():
            await asyncio.to_thread(path.unlink, missing_ok=True)
            sync_directory(self._root)

    async def list(self) -> list[str]:
        return sorted(name for name in _names(self._root) if ids.is_uuid(name))

    async def sweep(self) -> list[str]:
        return [name for name in _names(self._incoming) if remove_abandoned(self._incoming / name)]


async def _pass_on(chunks: AsyncIterator[bytes], take: t.Callable[[bytes], t.Coroutine[t.Any, t.Any, None]]) -> None:
    """Feed `take` with batches, collecting the next while it works on one."""
    taking: list[asyncio.Task[None]] = []
    try:
        async with contextlib.aclosing(_batches(chunks)) as batches:
            async for batch in batches:
                await asyncio.gather(*taking)
                taking = [asyncio.create_task(take(batch))]
        await asyncio.gather(*taking)
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)


async def _batches(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            yield _joined(held)
            size = 0
    if size:
        yield _joined(held)


def _joined(held: list[bytes]) -> bytes:
    """The pieces as one, which are let go at once: they would be a second copy while the batch waits its turn."""
    batch = b"".join(held)
    held.clear()
    return batch


def _settle(source: Path, target: Path) -> None:
    with _open(source) as file:
        settle(file.fileno(), source, target)


def _open(path: Path) -> t.BinaryIO:
    try:
        return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0)
    except FileNotFoundError:
        raise NoImageData(f"there is no image data at {path}") from None


async def _read(file: t.BinaryIO, start: int, end: int | None) -> AsyncIterator[bytes]:
    with file:
        while end is None or start < end:
            chunk = await asyncio.to_thread(os.pread, file.fileno(), READ if end is None else min(READ, end - start), start)
            if not chunk:
                return
            yield chunk
            start += len(chunk)


def _names(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []
