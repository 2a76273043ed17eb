"""A client's connection, as uvicorn has it, and three things that it has not: sending a part of a file without a copy in this
process, receiving a body into its reader's memory, and an end to waiting for a client that stalls."""

from __future__ import annotations

import asyncio
import mmap
import os
import select
import socket
import typing as t

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..kernel.http.bodies import FILL
from ..kernel.http.files import ZERO_COPY
from .intake import Intake

AT_ONCE = 16 << 20
"""Bytes that a thread sends at most before others have their turn."""
DELAY = 2.0
"""Milliseconds for which it waits that a client takes more."""
PIECE = 16 << 10
"""Bytes that the transport is given after that: it knows how to wait for room, and for the client's end."""
PATIENCE = 300.0
"""Seconds in which a client that is to send something has to send LEAST bytes or all there is, and for which one that is sent
something may take nothing."""
LEAST = 64 << 10
STALLED = b"The request did not come, or hardly any of it."


class Connection(HttpToolsProtocol):
    """Understands ASGI's `http.response.zerocopysend` as the message that ends an answer, and puts bodies whose length is known where
    their reader wants them, where nothing has to be done to bytes on their way: not with TLS.

    A client that stalls in the middle of a request is answered with 408, and is then as one that went away. One that does not
    read its answer the system gives up."""

    _lost = False
    _since: float | None = None
    """When the client last had sent enough; None while it has nothing to send."""
    _came = 0
    """Bytes since then."""
    parsed = 0
    """Bytes of the newest request's body that went through the parser."""
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
        self._since = self.loop.time()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._look_no_more()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._look_no_more()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        self.came(len(data))
        super().data_received(data)

    def came(self, size: int) -> None:
        """Note that the client has sent so many bytes."""
        self._unset_keepalive_if_required()
        self._came += size
        if self._came >= LEAST and self._since is not None:
            self._since, self._came = self.loop.time(), 0

    def on_message_begin(self) -> None:
        self._since, self._came = self.loop.time(), 0
        self.parsed = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self.parsed += len(body)
        super().on_body(body)

    def body_came(self) -> None:
        """Go on behind a body that came past the parser, which waits for it still."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.transport.set_protocol(self)
        self.on_message_complete()

    def on_message_complete(self) -> None:
        self._since = None
        super().on_message_complete()

    def _look(self) -> None:
        """See now and then whether the client stalls. While it is this process that takes no more, it does not."""
        now = self.loop.time()
        if self._since is not None and self.flow.read_paused:
            self._since = now
        if self._since is None or now - self._since < PATIENCE:
            self._watch = self.loop.call_later(PATIENCE / 4, self._look)
            return
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                                 b"Content-Length: %d\r\n\r\n%s" % (len(STALLED), STALLED))  # fmt: skip
        self.transport.close()

    def _look_no_more(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: t.Any) -> None:
        super()._start_asgi_task(cycle, self._extended(cycle, app) if self.scheme == "http" else app)

    def _extended(self, cycle: RequestResponseCycle, app: t.Any) -> t.Any:
        extensions: dict[str, t.Any] = {ZERO_COPY: {}}
        headers = dict(cycle.scope["headers"])
        # Where another protocol is asked for, the parser may stop at the head's end, and drop what came with it.
        if b"content-length" in headers and not headers.keys() & {b"transfer-encoding", b"upgrade"}:
            length = int(headers[b"content-length"])
            extensions[FILL] = {"length": length, "fill": Intake(self, cycle, length).fill}

        async def send(message: t.Any) -> None:
            if message["type"] != ZERO_COPY:
                return await cycle.send(message)
            await self._send_file(message["file"], message["offset"], message["count"])
            cycle.expected_content_length = 0
            await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

        async def served(scope: t.Any, receive: t.Any, _: t.Any) -> None:
            await app({**scope, "extensions": extensions}, receive, send)

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
                if self.transport.is_closing():  # a client may close before the thread is back that sent all it wanted
                    return
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
