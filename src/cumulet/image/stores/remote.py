"""What stores have in common that are not on this host, and those of them that are asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import typing as t
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ...kernel.trust import trusted
from .base import Accept, NoImageData, Store, StoreAway, Stored, StoreError, StoreFull
from .file import file_part, open_file

if t.TYPE_CHECKING:
    import httpx2

CONNECT, STALL = 10.0, 60.0
"""Seconds for reaching a server, and for which it may send or take nothing."""
FULL = {413, 507}
"""Statuses by which a server says that there is no more room, or that somebody may have no more of it."""
SAID = 500
"""Characters of what a server says that are told on."""


class Away(Store):
    """A store that files are sent to. `who` is what errors call it."""

    who: str

    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        """The file stays; a call that was cut off can be repeated as long as it does."""
        try:
            regular = stat.S_ISREG(path.lstat().st_mode)
        except FileNotFoundError:
            raise NoImageData(f"there is no file {path}") from None
        if not regular:
            raise StoreError(f"{path} cannot be kept as {key}: it is not a regular file")
        with contextlib.closing(open_file(path)) as file:
            return await self.put(key, file_part(file), accept)

    @contextlib.asynccontextmanager
    async def whole_or_nothing(self, key: str) -> AsyncIterator[None]:
        """Whatever goes wrong inside, nothing stays of the key; where the store is away, that is left to whoever looks later."""
        try:
            yield
        except StoreAway:
            raise
        except BaseException:
            with contextlib.suppress(StoreError):
                await asyncio.shield(self.delete(key))
            raise


class Remote(Away):
    """A store on a server that speaks HTTP."""

    def client(self) -> httpx2.AsyncClient:
        """For one operation: what is kept longer would belong to one event loop."""
        import httpx2

        return httpx2.AsyncClient(timeout=httpx2.Timeout(STALL, connect=CONNECT), verify=trusted(), trust_env=False)

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Raises StoreAway where the server is not reached, or is lost on the way."""
        import httpx2

        try:
            yield
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise StoreAway(f"{self.who} cannot be reached: {str(error) or type(error).__name__}") from None

    def refused(self, status: int, said: str, what: str) -> StoreError:
        """The error for an answer of this status; `what` was asked for."""
        text = f"{self.who} refuses {what}: {status} {' '.join(said.split())[:SAID]}".rstrip()
        if status == 404:
            return NoImageData(text)
        return StoreFull(text) if status in FULL else StoreError(text)

    async def streamed(self, url: str, headers: dict[str, str], what: str) -> AsyncIterator[bytes]:
        """What a GET is answered. Raises NoImageData, StoreError before anything is read of it."""
        stack = contextlib.AsyncExitStack()
        try:
            with self.reached():
                client = await stack.enter_async_context(self.client())
                answer = await stack.enter_async_context(client.stream("GET", url, headers=headers))
                if answer.status_code not in (200, 206, 416):
                    raise self.refused(answer.status_code, (await answer.aread()).decode(errors="replace"), what)
        except BaseException:
            await stack.aclose()
            raise
        return self._read(stack, answer)

    async def _read(self, stack: contextlib.AsyncExitStack, answer: httpx2.Response) -> AsyncIterator[bytes]:
        async with stack:
            with self.reached():
                async for chunk in answer.aiter_raw() if answer.status_code != 416 else nothing():
                    yield chunk


def ranged(start: int, end: int | None) -> dict[str, str]:
    """The header that asks for a part. Nobody asks for an empty one."""
    if not start and end is None:
        return {}
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}"}


async def nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk
