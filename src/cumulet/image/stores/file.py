"""A store in a directory: one file a key; temporary files in `incoming` beside them."""

from __future__ import annotations

import asyncio
import os
import stat
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

from ...kernel import files, ids
from ...kernel.http.files import READ, FilePart
from .base import Accept, NoImageData, Store, Stored, StoreError
from .incoming import Incoming, failed, settle
from .streaming import Digest, InTurn, pass_on

AT_ONCE = 2
"""Batches that are written and digested at once: where one thread is behind, the others have something to do."""


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
        target = self._ready(key)
        incoming, digest = Incoming(self._incoming, key), Digest()
        write = InTurn(incoming.write)

        async def take(batch: bytes) -> None:
            await asyncio.gather(digest.feed(batch), write(batch))

        try:
            await pass_on(chunks, take, at_once=AT_ONCE)
            stored = digest.finish(accept)
            await asyncio.to_thread(incoming.keep, target)
            return stored
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.close))

    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        """A file that this process owns is renamed where it can be; any other is copied and then removed."""
        target = self._ready(key)
        try:
            found = path.lstat()
        except FileNotFoundError:
            # Taken over already, by a call that never came to say so.
            return await self._rename(target, target, accept)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} cannot be kept as {key}: it is not a regular file")
        if found.st_uid == os.geteuid() and found.st_dev == self._root.stat().st_dev:
            return await self._rename(path, target, accept)
        stored = await self.put(key, file_part(open_file(path)), accept)
        path.unlink(missing_ok=True)
        return stored

    def _ready(self, key: str) -> Path:
        """Where the data will be; what has to be there for it is. Raises StoreError."""
        target = self.path(key)
        try:
            self._incoming.mkdir(0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise failed(self._root, error) from None
        return target

    async def _rename(self, source: Path, target: Path, accept: Accept | None) -> Stored:
        digest = Digest()
        await pass_on(file_part(open_file(source)), digest.feed)
        stored = digest.finish(accept)
        await asyncio.to_thread(_settle, source, target)
        return stored

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return file_part(open_file(self.path(key)), start, end)

    async def delete(self, key: str) -> None:
        path = self.path(key)
        if path.exists():
            try:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                await asyncio.to_thread(files.sync, self._root)
            except OSError as error:
                raise failed(self._root, error) from None

    async def list(self) -> list[str]:
        return sorted(name for name in _names(self._root) if ids.is_uuid(name))

    async def sweep(self) -> list[str]:
        return [name for name in _names(self._incoming) if files.remove_abandoned(self._incoming / name)]


def _settle(source: Path, target: Path) -> None:
    with open_file(source) as file:
        settle(file.fileno(), source, target)


def open_file(path: Path) -> t.BinaryIO:
    """Raises NoImageData, StoreError."""
    try:
        return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0)
    except FileNotFoundError:
        raise NoImageData(f"there is no image data at {path}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None


def file_part(file: t.BinaryIO, start: int = 0, end: int | None = None) -> FilePart:
    """What is from `start` up to `end`, without it; then the file is closed."""
    return FilePart(file, start, os.fstat(file.fileno()).st_size if end is None else end)


def _names(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []
