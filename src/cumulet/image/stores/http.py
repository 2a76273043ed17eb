"""Images on servers of others, which are only read: a key is an HTTP(S) URL, and removing it removes nothing there.

Servers are asked as imports ask them: what the settings of image_import forbid is not asked at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ...kernel.config import Config
from .. import web
from ..addresses import Refused
from .base import Accept, NoImageData, Store, Stored, StoreError
from .remote import nothing


class HttpStore(Store):
    """Reads by ranges; of a server that has none, what is before the range is read and thrown away."""

    read_only = True

    def __init__(self, config: Config):
        self._rules, self._most = config.image_import, config.image_size_max_gib << 30

    def url(self, key: str) -> str:
        return key

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        """Raises StoreError."""
        raise StoreError("a store of others' servers takes no data")

    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        """Raises StoreError."""
        raise StoreError("a store of others' servers takes no data")

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and start >= end:
            return nothing()
        stack = contextlib.AsyncExitStack()
        with _told(key):
            chunks = await stack.enter_async_context(web.part(key, self._rules, start, end, most=self._most))
        return _read(stack, chunks, key)

    async def delete(self, key: str) -> None:
        pass

    async def size(self, key: str) -> int:
        """How many bytes there are, as the server says. Raises NoImageData, StoreError."""
        with _told(key):
            found = await web.size(key, self._rules)
        if found > self._most:
            raise StoreError(f"{key}: it has {found} bytes, and the limit is {self._most}")
        return found


async def _read(stack: contextlib.AsyncExitStack, chunks: AsyncIterator[bytes], key: str) -> AsyncIterator[bytes]:
    with _told(key):
        async with stack:
            async for chunk in chunks:
                yield chunk


@contextlib.contextmanager
def _told(key: str) -> Iterator[None]:
    try:
        yield
    except web.NotThere as error:
        raise NoImageData(f"{key}: {error}") from None
    except (Refused, web.FetchFailed) as error:
        raise StoreError(f"{key}: {error}") from None
