"""Files that go from the page cache to the client: whole, in order, whatever the client does."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import struct
import threading
import typing as t
from pathlib import Path

import pytest

from cumulet.kernel.http.files import ZERO_COPY, DataResponse, FilePart
from unit.run.run_served import Served

SIZE = 40_000_003


class Files(Served):
    """A server that gives parts of one file: `GET /START-END`."""

    def __init__(self, path: Path):
        self.path, self.files, self.copies = path, list[t.BinaryIO](), list[bool]()
        self.errors, self.ended = list[Exception](), threading.Semaphore(0)
        super().__init__()

    async def app(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        start, _, end = scope["path"].strip("/").partition("-")
        self.files.append(file := self.path.open("rb", buffering=0))
        self.copies.append(ZERO_COPY not in scope["extensions"])
        part = FilePart(t.cast(t.BinaryIO, file), int(start), int(end))
        try:
            await DataResponse(part, 200, {"Content-Length": str(part.end - part.start)})(scope, receive, send)
        except Exception as error:
            self.errors.append(error)
            raise
        finally:
            self.ended.release()


@pytest.fixture(scope="module")
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def served(tmp_path: Path, data: bytes) -> t.Iterator[Files]:
    (tmp_path / "file").write_bytes(data)
    with contextlib.closing(Files(tmp_path / "file")) as served:
        yield served


def asked(part: str) -> bytes:
    return f"GET /{part} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def test_parts_of_a_file_are_whole_on_one_connection(served: Files, data: bytes):
    with contextlib.closing(http.client.HTTPConnection(*served.address, timeout=30)) as connection:
        for start, end in ((0, SIZE), (1, 2), (4097, 20_000_000), (SIZE - 1, SIZE), (5, 5), (0, SIZE)):
            connection.request("GET", f"/{start}-{end}")
            answer = connection.getresponse()
            assert answer.read() == data[start:end]
    assert not any(served.copies) and all(file.closed for file in served.files)


def test_a_client_that_closes_as_soon_as_it_has_everything_is_no_error(served: Files):
    for _ in range(300):
        with served.connect() as connection, connection.makefile("rb") as answer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(asked("0-1024"))
            while answer.readline().strip():
                pass
            answer.read(1024)
        assert served.ended.acquire(timeout=30)
    assert served.errors == []


def test_requests_sent_together_are_answered_in_their_order(served: Files, data: bytes):
    parts = ((0, 9_000_000), (7, 8), (30_000_000, SIZE))
    with served.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(b"".join(asked(f"{start}-{end}") for start, end in parts))
        for start, end in parts:
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            http.client.parse_headers(answers)
            assert answers.read(end - start) == data[start:end]


def test_clients_that_stall_hold_up_nobody_and_get_all_in_the_end(served: Files, data: bytes):
    with contextlib.ExitStack() as opened:
        stalled = [opened.enter_context(served.connect()) for _ in range(40)]
        for connection in stalled:
            connection.sendall(asked(f"0-{SIZE}"))
        other = opened.enter_context(contextlib.closing(http.client.HTTPConnection(*served.address, timeout=30)))
        other.request("GET", f"/0-{SIZE}")
        assert other.getresponse().read() == data
        answer = http.client.HTTPResponse(stalled[-1])
        answer.begin()
        assert answer.read() == data


def test_the_file_of_a_client_that_goes_away_is_closed(served: Files):
    for part in (asked(f"0-{SIZE}"), asked(f"0-{SIZE}") * 2):
        with served.connect() as connection:
            connection.sendall(part)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert served.ended.acquire(timeout=30) and served.files[-1].closed


def test_a_file_that_was_cut_short_ends_the_connection(served: Files):
    os.truncate(served.path, 1_000_000)
    with served.connect() as connection:
        connection.sendall(asked(f"0-{SIZE}"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert served.ended.acquire(timeout=30) and served.files[-1].closed


@pytest.mark.parametrize("part", [b"", b"GET /0-5 HTTP/1.1\r\nHost: h"], ids=["nothing", "half a head"])
def test_a_request_that_does_not_come_is_waited_for_no_longer(served: Files, monkeypatch: pytest.MonkeyPatch, part: bytes):
    monkeypatch.setattr("cumulet.run.connection.PATIENCE", 0.3)
    with served.connect() as connection:
        connection.sendall(part)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 408 and b"did not come" in answer.read()
        assert connection.recv(1) == b""


def test_a_connection_between_two_requests_is_kept(served: Files, data: bytes, monkeypatch: pytest.MonkeyPatch):
    """For another time, which is longer than it takes to give up one that stalls."""
    monkeypatch.setattr("cumulet.run.connection.PATIENCE", 0.5)
    with contextlib.closing(http.client.HTTPConnection(*served.address, timeout=30)) as connection:
        for _ in range(2):
            connection.request("GET", "/0-5")
            assert connection.getresponse().read() == data[:5]
            with served.connect() as stalled, stalled.makefile("rb") as said:
                assert said.read().startswith(b"HTTP/1.1 408")
