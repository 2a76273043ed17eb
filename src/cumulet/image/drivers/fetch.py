"""Bringing an image's data from the control plane into a file, checked while it comes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
import typing as t

from ...kernel.trust import trusted
from .base import ImageDriverError, ImageSource, Origin

BATCH = 4 << 20
STALL, CONNECT = 30.0, 10.0
"""Seconds without a byte, and until there is a connection, after which one is given up."""
TRIES, PAUSE = 5, 0.5
"""How many connections may bring nothing, one after the other, and the seconds before the next: longer each time."""
TICKET = "X-Image-Ticket"
_MARKUP = re.compile(r"<head>.*?</head>|<[^>]*>", re.DOTALL)


class _Again(Exception):
    """Another connection may bring what this one did not."""


class Received:
    """What has come of an image so far. Zeros are left out of the file, which is sparse then."""

    def __init__(self, source: ImageSource, fd: int):
        self.source, self._fd = source, os.dup(fd)
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        self.size, self._digest = 0, hashlib.new(self.source.hash_algo)
        os.ftruncate(self._fd, 0)

    def take(self, data: bytes) -> None:
        """Raises ImageDriverError for more than was to come, and OSError where there is no room. It may go on in its thread
        when nobody waits for it any longer: then it writes nowhere once the file is closed."""
        if self.source.size is not None and self.size + len(data) > self.source.size:
            raise ImageDriverError(f"image {self.source.id}: more came than its {self.source.size} bytes")
        with self._lock:
            self._digest.update(data)
            if data.count(0) < len(data):
                self._write(memoryview(data))
            self.size += len(data)

    def _write(self, left: memoryview) -> None:
        at = self.size
        while left:
            written = os.pwrite(self._fd, left, at)
            left, at = left[written:], at + written

    def close(self) -> None:
        with self._lock:
            os.close(self._fd)
            self._fd = -1

    def check(self) -> None:
        """All has come. Raises ImageDriverError where it is not what it is said to be."""
        os.ftruncate(self._fd, self.size)
        found = self._digest.hexdigest()
        if self.source.hash_value not in (None, found):
            wanted = self.source.hash_value
            raise ImageDriverError(f"image {self.source.id}: what came is not it: its {self.source.hash_algo} is {found}, not {wanted}")

    def __str__(self) -> str:
        return f"{self.size} of {'an unknown number of' if self.source.size is None else self.source.size} bytes came"


async def fetch(source: ImageSource, origin: Origin, fd: int, seconds: float) -> None:
    """Fill the file with the image's data. A connection that ends early is followed by another that goes on from there. Raises
    ImageDriverError with the reason, after `seconds` at the latest; OSError where the file cannot be written."""
    got = Received(source, fd)
    try:
        async with asyncio.timeout(seconds):
            await _fetch(origin, got)
        got.check()
    except TimeoutError:
        raise ImageDriverError(f"image {source.id} was not here within {seconds:g} s: {got} from {origin.url}") from None
    finally:
        await asyncio.shield(asyncio.to_thread(got.close))


async def _fetch(origin: Origin, got: Received) -> None:
    import httpx2

    fruitless = 0
    limits = httpx2.Timeout(STALL, connect=CONNECT)
    async with httpx2.AsyncClient(timeout=limits, verify=trusted(), trust_env=False) as client:
        while True:
            before = got.size
            try:
                return await _receive(client, origin, got)
            except (httpx2.HTTPError, _Again) as error:
                fruitless = 1 if got.size > before else fruitless + 1
                if fruitless >= TRIES:
                    why = str(error) or type(error).__name__
                    raise ImageDriverError(f"image {got.source.id} cannot be fetched from {origin.url}: {why}; {got}") from None
            await asyncio.sleep(PAUSE * fruitless)


async def _receive(client: t.Any, origin: Origin, got: Received) -> None:
    """What one connection brings. Raises _Again where that is not all."""
    headers = {TICKET: origin.ticket, "Accept-Encoding": "identity"}
    if got.size:
        headers["Range"] = f"bytes={got.size}-"
    async with client.stream("GET", origin.url, headers=headers) as answer:
        if answer.status_code not in (200, 206):
            await _refused(answer, got)
        if answer.status_code == 200 and got.size:
            got.restart()
        async for batch in _batches(answer.aiter_raw(1 << 20)):
            await asyncio.to_thread(got.take, batch)
    if got.source.size is not None and got.size < got.source.size:
        raise _Again("the connection ended early")


async def _refused(answer: t.Any, got: Received) -> t.NoReturn:
    page = (await answer.aread())[:2000].decode(errors="replace")
    said = f"{answer.status_code} {' '.join(_MARKUP.sub(' ', page).split())[:500]}"
    if answer.status_code >= 500 or answer.status_code == 429:
        raise _Again(said)
    raise ImageDriverError(f"image {got.source.id} is not given to this host: {said}")


async def _batches(chunks: t.AsyncIterator[bytes]) -> t.AsyncIterator[bytes]:
    """Larger pieces: each costs a turn of a thread."""
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
