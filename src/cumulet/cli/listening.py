"""The address of the APIs: listening on it, and asking whether somebody answers there."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import typing as t

from ..kernel.config import Config
from ..run import StartError


class Reply(t.NamedTuple):
    """The status of an answer, and its text."""

    status: int
    body: str


def listen(config: Config) -> socket.socket:
    """A socket that listens where the APIs are to be. Raises StartError."""
    host, port = _address(config)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512, reuse_port=False)
    except OSError as error:
        # Names that are not found have texts of their own, with numbers below 0.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise StartError(
            f"Cannot listen on {config.listen}: {why}. See who does with `ss -ltnp 'sport = :{port}'`, "
            "or name another address with --listen HOST:PORT."
        ) from None


def ask(config: Config, path: str) -> Reply | None:
    """What the cloud answers to a GET; None where nobody answers at all. Two seconds is too long for these paths."""
    with contextlib.suppress(OSError, ValueError), socket.create_connection(_address(config), 2) as connection:
        connection.settimeout(2)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {config.listen}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        return Reply(int(head.split(" ", 2)[1]), body)
    return None


def answers(config: Config, path: str = "/healthz") -> bool:
    """Whether the cloud's APIs answer a path with 200."""
    reply = ask(config, path)
    return reply is not None and reply.status == 200


def said(reply: Reply) -> str:
    """The sentence in a fault's body."""
    found = re.search(r'"message":\s*"([^"]*)"', reply.body)
    return found[1] if found else f"status {reply.status}"


def _address(config: Config) -> tuple[str, int]:
    """Host and port. Raises StartError for a port that cannot be one."""
    host, _, port = config.listen.rpartition(":")
    if not 0 < int(port) < 65536:
        raise StartError(f"{config.listen}: a port is a number from 1 to 65535.")
    return host.strip("[]"), int(port)
