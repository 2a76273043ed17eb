"""A client's connection, as uvicorn has it, and one thing that it has not: sending a part of a file without a copy in this process."""

from __future__ import annotations

import asyncio
import mmap
import os
import select
import typing as t

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..kernel.http.files import ZERO_COPY

AT_ONCE = 16 << 20
"""Bytes that a thread sends at most before others have their turn."""
DELAY = 2.0
"""Milliseconds for which it waits that a client takes more."""
PIECE = 16 << 10
"""Bytes that the transport is given after that: it knows how to wait for room, and for the client's end."""


class Connection(HttpToolsProtocol):
    """Understands ASGI's `http.response.zerocopysend` as the message that ends an answer, where nothing has to be done to its bytes
    on their way: not with TLS."""

    _lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: t.Any) -> None:
        super()._start_asgi_task(cycle, self._with_files(cycle, app) if self.scheme == "http" else app)

    def _with_files(self, cycle: RequestResponseCycle, app: t.Any) -> t.Any:
        async def send(message: t.Any) -> None:
            if message["type"] != ZERO_COPY:
                return await cycle.send(message)
            await self._send_file(message["file"], message["offset"], message["count"])
            cycle.expected_content_length = 0
            await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

        async def served(scope: t.Any, receive: t.Any, _: t.Any) -> None:
            await app({**scope, "extensions": {ZERO_COPY: {}}}, receive, send)

        return served

    async def _send_file(self, file: int, offset: int, count: int) -> None:
        """Returns early where the client goes away. Raises what `_push` does."""
        if not await self._flushed():
            return
        # Of one's own: the transport's may be closed, and be another's, while a thread sends.
        connection = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            while count:
                sent, piece = await asyncio.to_thread(_push, connection, file, offset, count)
                offset, count = offset + sent + len(piece), count - sent - len(piece)
                self.transport.write(piece)
                if not await self._flushed():
                    return
        except ConnectionError:
            self.transport.abort()
        finally:
            os.close(connection)

    async def _flushed(self) -> bool:
        """Wait until the system has all that was written; whether the client is still there."""
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits(0)
            await self.flow.drain()
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits()
        return not self._lost


def _push(connection: int, file: int, offset: int, count: int) -> tuple[int, bytes]:
    """Send for as long as the client takes it without delay; how many bytes that was, and the next few. Raises ConnectionError,
    OSError where the file cannot be read, ValueError where it is shorter.

    The system copies from mapped pages, which this process never looks at, so that a page that cannot be read is an error and no
    signal. It costs less than sendfile does, which sends pages one by one."""
    before, room = offset % mmap.ALLOCATIONGRANULARITY, select.poll()
    room.register(connection, select.POLLOUT)
    with mmap.mmap(file, before + min(count, AT_ONCE), prot=mmap.PROT_READ, offset=offset - before) as pages, memoryview(pages) as view:
        at = before
        while at < len(view) and room.poll(DELAY):
            with view[at:] as rest:
                at += os.write(connection, rest)
    sent = at - before
    return sent, os.pread(file, min(PIECE, count - sent), offset + sent)
