"""A client of QEMU's machine protocol (QMP) over a UNIX socket: commands, events, passed file descriptors.

The protocol is JSON, one object a line (qemu docs/interop/qmp-spec.rst): a greeting, `qmp_capabilities`,
then commands answered by id, with events in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from cumulet.compute.drivers.base import DriverError


class QmpError(DriverError):
    """QEMU refused a command; `kind` is its error class."""

    def __init__(self, command: str, kind: str, said: str):
        super().__init__(f"QEMU refused {command}: {said}")
        self.kind, self.said = kind, said


class QmpGone(DriverError):
    """The connection to QEMU ended: its process is gone or going."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened in the guest or in QEMU, by its QMP name."""

    name: str
    data: dict


GREETING_SECONDS = 10
"""How long a QEMU that is just starting may take until it speaks."""

LONGEST = 16 << 20
"""Bytes of one line. A QEMU that a guest has taken over may send anything, and shall not fill our memory."""

END = Event("", {})
"""What a listener hears last: the connection is over."""


async def heard(events: asyncio.Queue[Event], name: str, timeout: float, **data: object) -> dict | None:
    """The data of the next event of that name with those values; None after `timeout` seconds. Raises QmpGone."""
    try:
        async with asyncio.timeout(timeout):
            while (event := await events.get()) is not END:
                if event.name == name and data.items() <= event.data.items():
                    return event.data
    except TimeoutError:
        return None
    raise QmpGone(f"QEMU ended while {name} was waited for")


class Qmp:
    """One connection. QEMU serves one client at a time on a monitor."""

    def __init__(self, sock: socket.socket, on_event: Callable[[Event], None], on_end: Callable[[], None]):
        self._sock, self._on_event, self._on_end = sock, on_event, on_end
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[dict]] = {}
        self._listeners: list[asyncio.Queue[Event]] = []
        self._greeting: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: Path, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> Qmp:
        """Connect and negotiate; `on_end` is called once if the other side hangs up. Raises QmpGone."""
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            connect_unix(sock, path)
        except OSError as error:
            sock.close()
            raise QmpGone(f"{path}: {error.strerror}") from None
        client = cls(sock, on_event, on_end)
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                await client._greeting
                await client.execute("qmp_capabilities")
        except TimeoutError:
            client.close()
            raise QmpGone(f"{path}: QEMU did not greet within {GREETING_SECONDS} s; another process may hold its monitor") from None
        except BaseException:
            client.close()
            raise
        return client

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, fd: int | None = None) -> Any:
        """Run a command and return what it returns. Raises QmpError, QmpGone.

        `fd` travels with the command (for `add-fd` and `getfd`).
        """
        id = next(self._ids)
        line = msgspec.json.encode({"execute": command, "arguments": arguments or {}, "id": id}) + b"\n"
        answer = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            if self._reader.done():
                raise QmpGone(f"QEMU is gone, it cannot {command}")
            await self._send(line, fd)
            reply = await answer
        except OSError as error:
            raise QmpGone(f"QEMU is gone, it cannot {command}: {error.strerror}") from None
        finally:
            self._waiting.pop(id, None)
        if failure := reply.get("error"):
            raise QmpError(command, failure["class"], failure["desc"])
        return reply["return"]

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue of the events from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            yield queue
        finally:
            self._listeners.remove(queue)

    def close(self) -> None:
        """Hang up without a word to `on_end`."""
        self._on_end = lambda: None
        self._reader.cancel()

    async def _send(self, line: bytes, fd: int | None) -> None:
        loop = asyncio.get_running_loop()
        if fd is None:
            await loop.sock_sendall(self._sock, line)
            return
        # An ancillary message needs one byte to ride on; a line this short always fits the socket's buffer.
        socket.send_fds(self._sock, [line], [fd])

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        kept = b""
        try:
            while data := await loop.sock_recv(self._sock, 1 << 16):
                *lines, kept = (kept + data).split(b"\n")
                for line in lines:
                    self._take(msgspec.json.decode(line))
                if len(kept) > LONGEST:
                    break
        except (OSError, msgspec.DecodeError):
            pass
        finally:
            self._end()

    def _take(self, message: dict) -> None:
        if "event" in message:
            event = Event(message["event"], message.get("data", {}))
            for queue in self._listeners:
                queue.put_nowait(event)
            self._on_event(event)
        elif "QMP" in message:
            self._greeting.set_result(message["QMP"])
        elif (answer := self._waiting.get(message.get("id", 0))) and not answer.done():
            answer.set_result(message)

    def _end(self) -> None:
        self._sock.close()
        for queue in self._listeners:
            queue.put_nowait(END)
        for answer in (self._greeting, *self._waiting.values()):
            if not answer.done():
                answer.set_exception(QmpGone("QEMU closed its monitor: the process is gone or going"))
                answer.exception()
        on_end, self._on_end = self._on_end, lambda: None
        on_end()


def connect_unix(sock: socket.socket, path: Path) -> None:
    """Connect to a socket file whose path may be longer than the 108 bytes of a UNIX socket address."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def listen_unix(path: Path) -> socket.socket:
    """Make a listening socket file, readable by its owner alone, in place of any older one."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        sock.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o600)
        sock.listen(1)
    finally:
        os.close(directory)
    return sock
