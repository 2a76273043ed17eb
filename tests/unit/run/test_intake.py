"""Bodies that go into their reader's memory: whole and in order, whatever the client does, and whatever comes behind them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import os
import select
import socket
import struct
import threading
import time
import typing as t

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from cumulet.kernel.http.bodies import FILL, LEAST, pieces
from unit.run.run_served import Served

DATA = os.urandom(5_000_011)
PIECE = 1 << 20
MIDDLE = len(DATA) // 2


class Reader(Served):
    """A server that reads bodies, and answers with their digests: to /all; to /some after the first piece, and without the rest; to /held
    with a wait behind the first piece, until it may go on."""

    def __init__(self, **more: t.Any):
        self.offered, self.sizes, self.errors = list[bool](), list[int](), list[BaseException]()
        self.begun, self.may_go_on, self.ended = threading.Event(), threading.Event(), threading.Semaphore(0)
        super().__init__(**more)

    async def app(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        self.offered.append(FILL in scope["extensions"])
        try:
            answer = PlainTextResponse(await self._read(scope["path"], Request(scope, receive)))
            await answer(scope, receive, send)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.ended.release()

    async def _read(self, path: str, request: Request) -> str:
        digest = hashlib.sha256()
        async with contextlib.aclosing(t.cast(t.AsyncGenerator[bytes, None], pieces(request, lambda: PIECE))) as body:
            async for piece in body:
                assert isinstance(piece, bytes)
                self.sizes.append(len(piece))
                digest.update(piece)
                self.begun.set()
                if path == "/some":
                    return "enough"
                if path == "/held":
                    await asyncio.to_thread(self.may_go_on.wait)
        return digest.hexdigest()


@pytest.fixture
def reader() -> t.Iterator[Reader]:
    with contextlib.closing(Reader()) as served:
        yield served


def head(path: str = "/all", length: int = len(DATA), *more: str) -> bytes:
    fields = "".join(f"{field}\r\n" for field in (f"Content-Length: {length}", *more))
    return f"PUT {path} HTTP/1.1\r\nHost: here\r\n{fields}\r\n".encode()


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


class Client:
    """A connection, on which answers are read one after another."""

    def __init__(self, served: Served):
        self.socket = served.connect()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self.socket.makefile("rb")
        self.send = self.socket.sendall

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: t.Any) -> None:
        self._answers.close()
        self.socket.close()

    def answer(self) -> tuple[int, bytes]:
        status = int(self._answers.readline().split()[1])
        fields = http.client.parse_headers(self._answers)
        return status, self._answers.read(int(fields.get("Content-Length", 0)))

    def ended(self) -> bool:
        try:
            return self._answers.read() == b""
        except ConnectionResetError:
            return True

    def vanish(self) -> None:
        """Go away without a good-bye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


SIZES = (0, 1, LEAST - 1, LEAST, LEAST + 1, 300_000, 2 * PIECE, len(DATA))


def test_bodies_are_whole_on_one_connection(reader: Reader):
    with contextlib.closing(http.client.HTTPConnection(*reader.address, timeout=30)) as connection:
        for size in (*SIZES, *reversed(SIZES)):
            connection.request("PUT", "/all", DATA[:size])
            assert connection.getresponse().read() == digest(DATA[:size])
    assert all(reader.offered) and max(reader.sizes) == PIECE


@pytest.mark.parametrize("cut", [1, 100, LEAST, 70_001, len(DATA) - 1])
def test_it_does_not_matter_how_a_body_is_cut(reader: Reader, cut: int):
    """Some of it may come with the head, which the parser has seen then."""
    with Client(reader) as client:
        client.send(head() + DATA[:cut])
        assert cut < LEAST or reader.begun.wait(30)
        client.send(DATA[cut:])
        assert client.answer() == (200, digest(DATA))
        client.send(head("/all", 2) + b"x")
        client.send(b"y")
        assert client.answer() == (200, digest(b"xy"))


def test_a_body_that_comes_byte_by_byte(reader: Reader):
    with Client(reader) as client:
        client.send(head("/all", 1000))
        for n in range(1000):
            client.send(DATA[n : n + 1])
        assert client.answer() == (200, digest(DATA[:1000]))


def test_requests_sent_together_are_answered_in_their_order(reader: Reader):
    bodies = [DATA, b"", DATA[:LEAST], DATA[5:], b"x", DATA[:300_000]]
    with Client(reader) as client:
        everything = b"".join(head("/all", len(body)) + body for body in bodies)
        sending = threading.Thread(target=client.send, args=[everything])
        sending.start()
        for body in bodies:
            assert client.answer() == (200, digest(body))
        sending.join()


def test_what_comes_behind_a_body_is_no_part_of_it(reader: Reader):
    """One more byte than was said, and the connection is good for nothing else."""
    with Client(reader) as client:
        client.send(head("/held") + DATA[:LEAST])
        assert reader.begun.wait(30)
        reader.may_go_on.set()
        client.send(DATA[LEAST:])
        assert client.answer() == (200, digest(DATA))
        client.send(b"more\r\n\r\n")
        assert client.answer()[0] == 400 and client.ended()


def test_a_client_is_told_to_go_on(reader: Reader):
    with Client(reader) as client:
        client.send(head("/all", len(DATA), "Expect: 100-continue"))
        assert client.answer() == (100, b"")
        client.send(DATA)
        assert client.answer() == (200, digest(DATA))


@pytest.mark.parametrize("fields", [["Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Expect: 100-continue"]])
def test_a_body_whose_length_nobody_knows_comes_as_ever(reader: Reader, fields: list[str]):
    with Client(reader) as client:
        client.send(b"PUT /all HTTP/1.1\r\nHost: here\r\n" + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n")
        if len(fields) > 1:
            assert client.answer() == (100, b"")
        client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA))
        assert client.answer() == (200, digest(DATA))
    assert reader.offered == [False]


@pytest.mark.parametrize("sent", [0, 1, LEAST + 1, MIDDLE, len(DATA) - 1])
@pytest.mark.parametrize("vanishes", [False, True])
def test_a_client_that_goes_away_is_noticed(reader: Reader, sent: int, vanishes: bool):
    with Client(reader) as client:
        client.send(head() + DATA[:sent])
        assert sent < LEAST or reader.begun.wait(30)
        if vanishes:
            client.vanish()
    assert reader.ended.acquire(timeout=30)
    assert [type(error) for error in reader.errors] == [ClientDisconnect]


def test_what_is_answered_early_is_told_and_the_rest_is_let_go(reader: Reader):
    """To a client that sends all it has before it reads an answer too. What comes behind the rest is not let go."""
    with Client(reader) as client:
        for _ in range(3):
            client.send(head("/some") + DATA[:PIECE])
            assert reader.ended.acquire(timeout=30)
            client.send(DATA[PIECE:] + head() + DATA)
            assert client.answer() == (200, b"enough")
            assert client.answer() == (200, digest(DATA)) and reader.ended.acquire(timeout=30)


def test_a_reader_that_takes_its_time_is_waited_for(reader: Reader):
    """By the client: nothing is read for it meanwhile."""
    much = DATA * 20
    with Client(reader) as client:
        sending = threading.Thread(target=client.send, args=[head("/held", len(much)) + much])
        sending.start()
        assert reader.begun.wait(30)
        [connection] = reader.server.server_state.connections
        until(lambda: not t.cast(asyncio.ReadTransport, connection.transport).is_reading())
        assert sending.is_alive()
        reader.may_go_on.set()
        assert client.answer() == (200, digest(much))
        sending.join()


def test_clients_that_stall_hold_up_nobody(reader: Reader):
    with contextlib.ExitStack() as opened:
        stalled = [opened.enter_context(Client(reader)) for _ in range(60)]
        for n, client in enumerate(stalled):
            client.send(head() + DATA[: n * 50_000])
        threads = threading.active_count()
        other = opened.enter_context(Client(reader))
        other.send(head() + DATA)
        assert other.answer() == (200, digest(DATA))
        assert threading.active_count() == threads, "nobody has a thread for it"
        for n, client in enumerate(stalled):
            client.send(DATA[n * 50_000 :])
            assert client.answer() == (200, digest(DATA))


def test_a_body_that_does_not_come_is_waited_for_no_longer(reader: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cumulet.run.connection.PATIENCE", 0.4)
    with Client(reader) as client:
        client.send(head() + DATA[:MIDDLE])
        status, said = client.answer()
        assert status == 408 and b"did not come" in said and client.ended()
    assert reader.ended.acquire(timeout=30)
    assert [type(error) for error in reader.errors] == [ClientDisconnect]


def test_a_client_that_is_slow_is_waited_for(reader: Reader, monkeypatch: pytest.MonkeyPatch):
    """For longer than one that stalls is."""
    monkeypatch.setattr("cumulet.run.connection.PATIENCE", 0.4)
    sent, ends = 0, time.monotonic() + 1.5
    with Client(reader) as client:
        client.send(head())
        while time.monotonic() < ends and not select.select([client.socket], [], [], 0.05)[0]:
            client.send(DATA[sent : sent + LEAST])
            sent += LEAST
        client.send(DATA[sent:])
        assert client.answer() == (200, digest(DATA))


def test_a_server_that_ends_lets_a_body_come(reader: Reader):
    with Client(reader) as client:
        client.send(head("/held") + DATA[:MIDDLE])
        assert reader.begun.wait(30)
        reader.server.should_exit = True
        reader.may_go_on.set()
        client.send(DATA[MIDDLE:])
        assert client.answer() == (200, digest(DATA)) and client.ended()


def test_a_server_that_ends_waits_no_longer_than_it_may():
    with contextlib.closing(Reader(timeout_graceful_shutdown=1)) as reader, Client(reader) as client:
        client.send(head() + DATA[:MIDDLE])
        assert reader.begun.wait(30)
        reader.server.should_exit = True
        assert reader.ended.acquire(timeout=30)
        assert [type(error) for error in reader.errors] == [asyncio.CancelledError]


def until(true: t.Callable[[], t.Any]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)
