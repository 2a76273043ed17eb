"""What every store does to data on its way: gather it in batches, digest and inspect it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator

from ..formats import Inspector
from .base import Accept, Stored

BATCH = 2 << 20
"""Bytes handed to the worker threads at once. An upload to a file holds three of these, however big it is, and for a moment
those that a thread has done with and not yet let go."""
ROOM, LEAST = 8 << 20, 64 << 10
"""Bytes that uploads which choose their batches gather at once in this process, together; and those of the smallest batch."""


class InTurn:
    """Does something to one batch after another in threads, in the order in which it is given them."""

    def __init__(self, do: t.Callable[[bytes], t.Any]):
        self._do, self._turn = do, asyncio.Lock()

    async def __call__(self, batch: bytes) -> None:
        async with self._turn:
            await asyncio.to_thread(self._do, batch)


class Digest:
    """Both digests and the inspection of one image, fed batch by batch."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._feed_md5, self._feed_sha512 = InTurn(self._md5.update), InTurn(self._sha512.update)
        self._inspector = Inspector()
        self._size = 0

    async def feed(self, batch: bytes) -> None:
        self._inspector.feed(batch)
        self._size += len(batch)
        await asyncio.gather(self._feed_md5(batch), self._feed_sha512(batch))

    def finish(self, accept: Accept | None) -> Stored:
        """What came; raises what `accept` raises."""
        inspected = self._inspector.finish()
        if accept is not None:
            accept(inspected)
        return Stored(
            size=self._size,
            checksum_md5=self._md5.hexdigest(),
            os_hash_value=self._sha512.hexdigest(),
            inspected=inspected,
        )


async def pass_on(
    chunks: AsyncIterator[bytes], take: t.Callable[[bytes], t.Coroutine[t.Any, t.Any, None]], size: int | None = None, at_once: int = 1
) -> None:
    """Feed `take` with batches as `batches` makes them, collecting the next while it works on so many, which it keeps in their order;
    where many uploads are under way, each waits for its own, and the processors are busy with the others."""
    taking: list[asyncio.Task[None]] = []
    try:
        async with contextlib.aclosing(batches(chunks, size)) as gathered:
            async for batch in gathered:
                if len(taking) == at_once:
                    await taking[0]
                    del taking[0]
                taking.append(asyncio.create_task(take(batch)))
                del batch  # the next may be long in coming
                if share() < BATCH:
                    await asyncio.gather(*taking)
        await asyncio.gather(*taking)
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)


async def batches(chunks: AsyncIterator[bytes], size: int | None = None) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of `size` and a little more, but for the last. Without a size they are of BATCH, and smaller where
    many uploads are under way: what a hundred clients sent that stall now is held as long as they do."""
    held: list[bytes] = []
    have, me = 0, object()
    _under_way.add(me)
    try:
        async for chunk in chunks:
            held.append(chunk)
            have += len(chunk)
            del chunk
            if have >= (size or share()):
                yield _joined(held)
                have = 0
        if have:
            yield _joined(held)
    finally:
        _under_way.discard(me)


_under_way: set[object] = set()


def share() -> int:
    """Bytes that one of the uploads which are under way gathers at once."""
    return min(BATCH, max(LEAST, ROOM // max(1, len(_under_way))))


def _joined(held: list[bytes]) -> bytes:
    """The pieces as one, which are let go at once: they would be a second copy while the batch waits its turn."""
    batch = held[0] if len(held) == 1 else b"".join(held)
    held.clear()
    return batch
