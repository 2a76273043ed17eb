"""A cloud of the test's process on a port, as real ones are, for clients that do what no well-behaved library does."""

from __future__ import annotations

import contextlib
import http.client
import socket
import typing as t

import uvicorn

from cumulet.kernel.testing.cloud import Caller, Cloud
from cumulet.run.connection import Connection

Address = tuple[str, int]


@contextlib.contextmanager
def listening(cloud: Cloud) -> t.Iterator[Address]:
    """Where the cloud answers."""
    config = uvicorn.Config(cloud.application, interface="asgi3", loop="none", lifespan="off", log_config=None, http=Connection)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listens:
        serving = cloud.portal.start_task_soon(server.serve, [listens])
        try:
            yield listens.getsockname()
        finally:
            server.should_exit = True
            serving.result()


class Sender:
    """A client that sends a request bit by bit."""

    def __init__(self, address: Address, token: str | None, method: str, path: str, size: int = 0):
        self.socket = socket.create_connection(address, timeout=30)
        head = f"{method} {path} HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: {token}\r\n"
        head += f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n" if method == "PUT" else "\r\n"
        self.socket.sendall(head.encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> http.client.HTTPResponse:
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return answer

    def close(self) -> None:
        self.socket.close()


def sender(address: Address, who: Caller, method: str, path: str, size: int = 0) -> Sender:
    return Sender(address, who.token, method, who.prefix + path, size)
