"""Reading an image's data from the stores that have it: where one fails in the middle, the next goes on."""

from __future__ import annotations

import typing as t
from collections import deque
from collections.abc import AsyncIterator

from ..kernel.db import Row
from ..kernel.http.files import FilePart
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from .stores.base import StoreError
from .stores.registry import Stores, stores

log = get_logger("image")


async def opened(runtime: Runtime, places: list[Row], start: int, end: int) -> AsyncIterator[bytes]:
    """What is from byte `start` up to `end`, without it. Raises StoreError before anything is read where no place gives it, and on
    the way where none goes on."""
    source = _Source(stores(runtime), deque(stores(runtime).sorted(places)), start, end)
    place, chunks = await source.next()
    return chunks if isinstance(chunks, FilePart) else source.read(place, chunks)


class _Source:
    """The places that are left, and how far the data was read. What others keep may be other data since: nothing is put
    together of that."""

    def __init__(self, there: Stores, left: deque[Row], start: int, end: int):
        self._there, self._left, self._end = there, left, end
        self._begun = self._at = start
        self._why: list[str] = []

    async def next(self) -> tuple[Row, AsyncIterator[bytes]]:
        while self._left:
            place = self._left.popleft()
            try:
                if self._at == self._begun or not self._there[place.store].read_only:
                    return place, await self._there[place.store].open(place.key, self._at, self._end)
            except StoreError as error:
                self._why.append(f"{place.store}: {error}")
        raise StoreError("; ".join(self._why) or "nobody knows where it is")

    async def read(self, place: Row, chunks: AsyncIterator[bytes]) -> t.AsyncIterator[bytes]:
        while self._at < self._end:
            why = "it ends too early"
            try:
                async for chunk in chunks:
                    self._at += len(chunk)
                    yield chunk
            except (StoreError, OSError) as error:
                why = str(error)
            if self._at < self._end:
                place, chunks = await self._go_on(place, why)

    async def _go_on(self, place: Row, why: str) -> tuple[Row, AsyncIterator[bytes]]:
        log.warning("image data broke off in a store", store=place.store, key=place.key, at=self._at, why=why)
        self._why.append(f"{place.store}: {why}")
        if self._at > self._begun and self._there[place.store].read_only:
            self._left.clear()
        return await self.next()
