"""The load generator: prepared requests on kept-alive connections, in a process of its own so that it does not take
the server's core. It reads of an answer its status and length, and nothing else."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import itertools
import json
import math
import multiprocessing
import time
import typing as t

import uvloop

PATIENCE = 60.0
"""Seconds after which a load that has not ended is given up."""


class Answered(t.NamedTuple):
    """How long a request took, in seconds, and the answer's status code."""

    seconds: float
    status: int


class Load(t.NamedTuple):
    """What came of a load. `generator` is the part of a core that the generator itself took."""

    answers: list[Answered]
    seconds: float
    generator: float

    @property
    def per_second(self) -> float:
        return len(self.answers) / self.seconds

    @property
    def failed(self) -> list[int]:
        return [answer.status for answer in self.answers if answer.status >= 400]

    def percentile(self, percent: float) -> float:
        """The time within which so many per cent of the requests were answered, in milliseconds (nearest rank)."""
        ordered = sorted(answer.seconds for answer in self.answers)
        return 1e3 * ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def request(method: str, path: str, body: t.Any = None, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    content = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": "cloud", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def closed_loop(address: str, wanted: bytes, *, clients: int, seconds: float) -> Load:
    """So many clients, each sending the request again as soon as it is answered, for so long."""
    return _elsewhere(_closed_loop, address, wanted, clients, seconds)


def each_once(address: str, wanted: list[bytes], *, clients: int) -> Load:
    """So many clients, who send these requests between them, each one once."""
    return _elsewhere(_each_once, address, wanted, clients)


def at_once(address: str, wanted: list[bytes]) -> Load:
    """Every request on a connection of its own, all sent at one moment."""
    return _elsewhere(_at_once, address, wanted)


def _elsewhere(load: t.Callable, *arguments: t.Any) -> Load:
    with cf.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured, load, *arguments).result()


def _measured(load: t.Callable, *arguments: t.Any) -> Load:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cpu = time.process_time()
        answers, seconds = runner.run(asyncio.wait_for(load(*arguments), PATIENCE))
        return Load(answers, seconds, (time.process_time() - cpu) / seconds)


async def _closed_loop(address: str, wanted: bytes, clients: int, seconds: float) -> tuple[list[Answered], float]:
    return await _together(
        address, clients, lambda began: itertools.takewhile(lambda _: time.perf_counter() < began + seconds, itertools.repeat(wanted))
    )


async def _each_once(address: str, wanted: list[bytes], clients: int) -> tuple[list[Answered], float]:
    left = iter(wanted)
    return await _together(address, clients, lambda _: left)


async def _together(address: str, clients: int, wanted: t.Callable[[float], t.Iterable[bytes]]) -> tuple[list[Answered], float]:
    """What so many clients are answered, each of whom sends what `wanted`, told when all began, has for it."""
    all_clients = [Client(address, connection) for connection in await _connect(address, clients)]
    began = time.perf_counter()
    answers = await asyncio.gather(*(client.ask_all(wanted(began)) for client in all_clients))
    return [one for some in answers for one in some], time.perf_counter() - began


class Client:
    """Sends one request after another. The time that a server makes its clients spend on new connections is part of the time
    of its answers."""

    def __init__(self, address: str, connection: Connection):
        self._address, self._connection = address, connection

    async def ask_all(self, wanted: t.Iterable[bytes]) -> list[Answered]:
        return [await self._ask(one) for one in wanted]

    async def _ask(self, wanted: bytes) -> Answered:
        began = time.perf_counter()
        if self._connection.ended:
            (self._connection,) = await _connect(self._address, 1)
        answer = await self._connection.ask(wanted)
        return Answered(time.perf_counter() - began, answer.status)


async def _at_once(address: str, wanted: list[bytes]) -> tuple[list[Answered], float]:
    connections = await _connect(address, len(wanted))
    began = time.perf_counter()
    answers = await asyncio.gather(*(connection.ask(one) for connection, one in zip(connections, wanted, strict=True)))
    return list(answers), time.perf_counter() - began


async def _connect(address: str, number: int) -> list[Connection]:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, host, int(port)))[1] for _ in range(number)]


class Connection(asyncio.Protocol):
    """One connection, on which one request is under way at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast(asyncio.Transport, transport)
        self._parts: list[bytes] = []
        self._size, self._whole, self._status = 0, 0, 0
        self.ended = False

    async def ask(self, wanted: bytes) -> Answered:
        """Send a request and wait for the whole of its answer. Raises ConnectionError."""
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(wanted)
        status = await self._answer
        return Answered(time.perf_counter() - began, status)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if not self._whole:
            self._read_head()
        if self._whole and self._size >= self._whole:
            self._parts, self._size, self._whole = [], 0, 0
            if self.ended:
                self._transport.close()
            self._answer.set_result(self._status)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        answer = getattr(self, "_answer", None)
        if answer is not None and not answer.done():
            answer.set_exception(error or ConnectionError("the server ended the connection"))

    def _read_head(self) -> None:
        head, end, _ = b"".join(self._parts).partition(b"\r\n\r\n")
        if not end:
            return
        self._status = int(head[9:12])
        self.ended = b"\r\nconnection: close" in head.lower()
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        self._whole = len(head) + 4 + (int(lengths[0][15:]) if lengths else 0)
