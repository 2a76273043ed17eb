"""Much data in one request or answer, for as little of the client's processor time as the system allows: so it is the server that is
measured. What is sent goes from the page cache to the socket by sendfile; what is received is let go of inside the kernel."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import socket
import time
import typing as t
from pathlib import Path

import processes

AT_ONCE = 1 << 20
PATIENCE = 300.0
"""Seconds that a server may take for a part."""


class Moved(t.NamedTuple):
    """A transfer: how long it took; the processor time of the server's processes and of this one, in seconds; and the memory, in MB
    (10^6 bytes), that the server's had at most, and before it began."""

    seconds: float
    cpu: float
    client_cpu: float
    peak_mb: float
    idle_mb: float


def send(address: str, head: bytes, source: Path) -> Moved:
    """Send a request whose body is a file. Raises RuntimeError for any answer but a success."""

    def exchange(connection: socket.socket) -> None:
        with source.open("rb") as file:
            connection.sendall(head)
            connection.sendfile(file)
        _read_head(connection)

    return _measured(address, exchange)


def fetch(address: str, head: bytes, size: int) -> Moved:
    """Send a request and let its answer's body come, which is so many bytes long. Raises RuntimeError where it is not."""

    def exchange(connection: socket.socket) -> None:
        connection.sendall(head)
        left, buffer = size - len(_read_head(connection)), bytearray(AT_ONCE)
        while left > 0:
            came = connection.recv_into(buffer, min(AT_ONCE, left), socket.MSG_TRUNC)
            if not came:
                raise RuntimeError(f"the answer ended {left} bytes early")
            left -= came

    return _measured(address, exchange)


def digest(address: str, head: bytes, size: int) -> str:
    """SHA-512 of an answer's body, which is so many bytes long."""
    found = hashlib.sha512()
    with _connected(address) as connection:
        connection.sendall(head)
        data = _read_head(connection)
        while size > 0 and (data or (data := connection.recv(AT_ONCE))):
            found.update(data)
            size, data = size - len(data), b""
    return found.hexdigest()


def _measured(address: str, exchange: t.Callable[[socket.socket], None]) -> Moved:
    servers = processes.listening(address)
    idle, resident = sum(processes.pss_mb(servers).values()), processes.reset_peak(servers)
    with _connected(address) as connection:
        cpu, own, began = processes.cpu_seconds(servers), _own_cpu(), time.perf_counter()
        exchange(connection)
        seconds = time.perf_counter() - began
    return Moved(seconds, processes.cpu_seconds(servers) - cpu, _own_cpu() - own, idle + processes.peak_mb(servers) - resident, idle)


@contextlib.contextmanager
def _connected(address: str) -> t.Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        yield connection


def _read_head(connection: socket.socket) -> bytes:
    """Read an answer's head; what came of its body with it. Raises RuntimeError for any status but a success."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise RuntimeError("the server ended the connection before it answered")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if head[9:10] != b"2":
        raise RuntimeError(f"{head.decode(errors='replace')} {body[:400].decode(errors='replace')}")
    return body


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
