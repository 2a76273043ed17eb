"""The bus of one machine: a UNIX socket where the agent listens, and nudges by a call or, between processes, an eventfd.

A frame is four bytes of length (big endian) and a msgpack value: a tag and a Command, Answer or Event.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import typing as t
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from .. import ids
from ..log import get_logger
from .base import AgentAway, AgentUnreachable, Answer, Command, Event, Nudges, unwrap

log = get_logger("bus")
FRAME_MAX = 64 << 20
RECONNECT = 0.2


class LocalBus:
    """The control plane's end. `sockets` are the agents' sockets; which hosts are behind one, its hello says. `bells`: an
    eventfd a topic, which processes forked from one have in common: a topic that nobody listens to here wakes those who listen to it
    in another of them."""

    def __init__(self, sockets: list[Path], bells: dict[str, int] | None = None):
        self._sockets, self._bells = sockets, bells or {}
        self._hosts: dict[str, asyncio.StreamWriter] = {}
        self._waiting: dict[str, tuple[asyncio.Future, asyncio.StreamWriter]] = {}
        self._nudges = Nudges()
        self._hearers: list[Callable[[Event], Awaitable[None]]] = []
        self._tasks: list[asyncio.Task] = []
        self._hearing: set[asyncio.Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._keep(path)) for path in self._sockets]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def call(self, host: str, name: str, arguments: dict, *, subject: str | None = None,
                   generation: int | None = None, timeout: float = 60) -> t.Any:  # fmt: skip
        command = Command(
            id=ids.new(), host=host, name=name, arguments=arguments, subject=subject, generation=generation,
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
        )  # fmt: skip
        writer = self._hosts.get(host)
        if writer is None:
            raise AgentAway(f"The agent of host {host} is not connected.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = (answer, writer)
        try:
            async with asyncio.timeout(timeout):
                await send(writer, "command", command)
                return unwrap(command, await answer)
        except TimeoutError:
            raise AgentUnreachable(f"The agent of host {host} did not answer {name} within {timeout:g} s.") from None
        except OSError as error:
            raise AgentAway(f"The agent of host {host} went away: {error}") from None
        finally:
            self._waiting.pop(command.id, None)

    def nudge(self, topic: str) -> None:
        if topic in self._bells and not self._nudges.heard(topic):
            os.eventfd_write(self._bells[topic], 1)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._nudges.fire, topic)

    def on_nudge(self, topic: str, wake: Callable[[], t.Any]) -> None:
        if topic in self._bells and not self._nudges.heard(topic):
            asyncio.get_running_loop().add_reader(self._bells[topic], self._rung, topic)
        self._nudges.on(topic, wake)

    def _rung(self, topic: str) -> None:
        os.eventfd_read(self._bells[topic])
        self._nudges.fire(topic)

    def on_event(self, hear: Callable[[Event], Awaitable[None]]) -> None:
        self._hearers.append(hear)

    async def _keep(self, path: Path) -> None:
        """Stay connected to one agent, for ever."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_unix_connection(str(path))
                try:
                    await self._listen(reader, writer)
                finally:
                    self._lose(writer)
            await asyncio.sleep(RECONNECT)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, message = await receive(reader)
            if isinstance(message, Answer) and (waiting := self._waiting.get(message.id)):
                if not waiting[0].done():
                    waiting[0].set_result(message)
            elif isinstance(message, Event):
                if message.name == "hello":
                    self._hosts[message.host] = writer
                for hear in self._hearers:
                    hearing = asyncio.create_task(self._hear(hear, message))
                    self._hearing.add(hearing)
                    hearing.add_done_callback(self._hearing.discard)

    async def _hear(self, hear: Callable[[Event], Awaitable[None]], event: Event) -> None:
        try:
            await hear(event)
        except Exception:
            log.exception("an event was not taken in", event_name=event.name, host=event.host)

    def _lose(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self._hosts = {host: w for host, w in self._hosts.items() if w is not writer}
        for answer, by in self._waiting.values():
            if by is writer and not answer.done():
                answer.set_exception(ConnectionResetError("its agent ended the connection"))


class LocalPort:
    """The agent's end: listens on the socket and lets in root and the user that the control plane runs as."""

    def __init__(self, path: Path, hellos: Callable[[], list[Event]], allowed_uids: set[int]):
        self._path, self._hellos, self._uids = path, hellos, allowed_uids
        self._writers: set[asyncio.StreamWriter] = set()
        self._doing: set[asyncio.Task] = set()
        self._server: asyncio.Server | None = None

    async def open(self, handle: Callable[[Command], Awaitable[Answer]]) -> None:
        self._handle = handle
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connected, str(self._path))
        os.chmod(self._path, 0o666)  # who may connect is decided by peer credentials, below

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.close()
        self._path.unlink(missing_ok=True)

    async def emit(self, event: Event) -> None:
        for writer in list(self._writers):
            with contextlib.suppress(OSError):
                await send(writer, "event", event)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer)
        if uid not in self._uids:
            log.warning("refused a connection", uid=uid)
            writer.close()
            return
        self._writers.add(writer)
        try:
            for hello in self._hellos():
                await send(writer, "event", hello)
            while True:
                _, message = await receive(reader)
                if isinstance(message, Command):
                    doing = asyncio.create_task(self._do(message, writer))
                    self._doing.add(doing)
                    doing.add_done_callback(self._doing.discard)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _do(self, command: Command, writer: asyncio.StreamWriter) -> None:
        answer = await self._handle(command)
        with contextlib.suppress(OSError):
            await send(writer, "answer", answer)


_KINDS: dict[str, type] = {"command": Command, "answer": Answer, "event": Event}


async def send(writer: asyncio.StreamWriter, kind: str, message: msgspec.Struct) -> None:
    data = msgspec.msgpack.encode((kind, message))
    writer.write(struct.pack(">I", len(data)) + data)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> tuple[str, t.Any]:
    """The next message. Raises IncompleteReadError at the end, OSError for what is no frame."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > FRAME_MAX:
        raise OSError(f"a frame of {length} bytes")
    kind, raw = msgspec.msgpack.decode(await reader.readexactly(length), type=tuple[str, msgspec.Raw])
    return kind, msgspec.msgpack.decode(raw, type=_KINDS[kind])


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """The user at the other end of a UNIX socket."""
    connection: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid
