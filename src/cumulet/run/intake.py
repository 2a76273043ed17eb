"""Bodies of requests that go from the system straight into the memory of whoever reads them, past the parser."""

from __future__ import annotations

import asyncio
import typing as t

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if t.TYPE_CHECKING:
    from .connection import Connection

UNREAD = 64 << 10
"""Bytes that are taken at once of a body that nobody reads any more."""
NOWHERE = memoryview(b"")


class Intake(asyncio.BufferedProtocol):
    """What a transport has for a protocol in place of a connection, from when the reader of a body first waits for more of it until
    that body's end. The parser has seen the bytes before: it is told of no others, and the connection has another one afterwards."""

    def __init__(self, connection: Connection, cycle: RequestResponseCycle, length: int):
        self._connection, self._cycle, self._length = connection, cycle, length
        self._room, self._left = NOWHERE, 0

    async def fill(self, buffer: memoryview) -> bool:
        """Fill a buffer with the bytes that come next; whether the client stayed for that. There are to be as many."""
        cycle, flow = self._cycle, self._cycle.flow
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        parsed = cycle.body[: len(buffer)]
        del cycle.body[: len(parsed)]
        buffer[: len(parsed)] = parsed
        self._room = buffer[len(parsed) :]
        try:
            while self._room and not cycle.disconnected:
                self._take_over()
                cycle.message_event.clear()
                flow.resume_reading()
                await cycle.message_event.wait()
            return not self._room
        finally:
            self._room = NOWHERE

    def _take_over(self) -> None:
        if not self._left:
            self._left = self._length - self._connection.parsed
            self._cycle.transport.set_protocol(self)

    # -- what the transport says -----------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Never more than what is left of the body: what comes behind is the parser's."""
        return (self._room or memoryview(bytearray(UNREAD)))[: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        self._connection.came(nbytes)
        read, self._room = bool(self._room), self._room[nbytes:]
        if not self._left:
            self._connection.body_came()
        elif read and not self._room:
            self._cycle.flow.pause_reading()
            self._cycle.message_event.set()

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
