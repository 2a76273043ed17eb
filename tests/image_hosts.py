"""A cloud whose hosts have not the files of its image store: they fetch images over HTTP, as hosts elsewhere do."""

from __future__ import annotations

import asyncio
import socket
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn

from cumulet.image.stores.base import Accept, Store, Stored
from cumulet.image.stores.file import FileStore
from cumulet.image.stores.registry import stores
from world import World

DATA = "/image/v2/cache/data/"


class Elsewhere(Store):
    """A store whose data is no file for hosts, though it is kept in files."""

    def __init__(self, root: Path):
        self.files = FileStore(root)

    def url(self, key: str) -> str:
        return f"elsewhere://{key}"

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        return await self.files.put(key, chunks, accept)

    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        return await self.files.adopt(key, path, accept)

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return await self.files.open(key, start, end)

    async def delete(self, key: str) -> None:
        await self.files.delete(key)


class HostsAway(World):
    """`fetched` has the ids of the images that were asked for by hosts; `gate`, where it is set, has them wait for it. `store` is where
    images are."""

    def __init__(self, url: str, data: str, *, store: Store | None = None, **options: t.Any):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        # As behind a proxy: the address of clients is none that this machine reaches.
        config = {"listen": f"127.0.0.1:{self._socket.getsockname()[1]}", "public_url": "https://cloud.invalid"}
        super().__init__(url, data, config=config, **options)
        self.fetched: list[str] = []
        self.gate: asyncio.Event | None = None
        self.store = store or Elsewhere(Path(data) / "images")
        stores(self.runtime)._stores["file"] = self.store
        self._server = uvicorn.Server(uvicorn.Config(self._answer, interface="asgi3", lifespan="off", log_config=None))
        self.portal.start_task_soon(self._server.serve, [self._socket])

    def close(self) -> None:
        if self.gate:
            self.portal.call(self.gate.set)
        self._server.should_exit = self._server.force_exit = True
        super().close()

    def cache(self, host: str = "host-1") -> list[Path]:
        """The files in a host's cache."""
        return [path for path in (self.root / host / "images").iterdir() if path.suffix != ".note"]

    async def _answer(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["path"].startswith(DATA):
            self.fetched.append(scope["path"].removeprefix(DATA))
            if self.gate:
                await self.gate.wait()
        await self.application(scope, receive, send)
