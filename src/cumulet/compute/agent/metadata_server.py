"""The metadata service that guests talk to: a small process, not root, with nothing but files and handed-over sockets.

It answers HTTP/1.1 GETs of the OpenStack and EC2 trees, takes the one POST that there is (a guest's password), and knows
the guest by its address on its network. It ends when its agent does.
"""

from __future__ import annotations

import array
import asyncio
import base64
import functools
import json
import re
import socket
import sys
import typing as t
from http import HTTPStatus
from pathlib import Path

from ...kernel.privilege import drop
from ..ec2 import EC2_VERSIONS, OPENSTACK_VERSIONS, PASSWORD_MAX, ec2_listing

IDLE = 15.0
_REQUEST = re.compile(rb"(GET|HEAD|POST) (\S+) HTTP/1\.[01]\r?\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,5})\r\n", re.IGNORECASE)
_PASSWORD = re.compile(r"/+openstack/[^/]+/password")
_ID = re.compile(r"[0-9a-f-]{36}")
Answer = tuple[int, str, bytes]


class Service:
    """What is answered to whom."""

    def __init__(self, root: Path, tell: t.Callable[[bytes], object]):
        self._root, self._tell = root, tell

    def answer(self, network_id: str, address: str, path: str) -> Answer:
        owners = self._read("networks", network_id) or {}
        tree = self._read("servers", owners.get(address, ""))
        if tree is None:
            return 404, "text/plain", b"no server is known at this address\n"
        return _find({name: base64.b64decode(content) for name, content in tree.items()}, path.partition("?")[0])

    def password(self, network_id: str, address: str, path: str, password: bytes) -> Answer:
        """Take a guest's password: once, and of a length that is kept."""
        owner = (self._read("networks", network_id) or {}).get(address, "")
        tree = self._read("servers", owner)
        if tree is None or not _PASSWORD.fullmatch(path):
            return _nothing()
        if len(password) > PASSWORD_MAX:
            return 400, "text/plain", f"a password has at most {PASSWORD_MAX} characters\n".encode()
        if tree.get("openstack/latest/password"):
            return 409, "text/plain", b"there is a password already\n"
        self._tell(owner.encode() + b" " + password)
        return 200, "text/plain", b""

    def _read(self, kind: str, id: str) -> t.Any:
        if not _ID.fullmatch(id):
            return None
        path = self._root / kind / f"{id}.json"
        return json.loads(path.read_bytes()) if path.exists() else None


def _find(tree: dict[str, bytes], path: str) -> Answer:
    """A file of the tree, or the names in one of its directories."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return _text("\n".join((*EC2_VERSIONS, "latest")))
    if parts[0] == "openstack":
        return _openstack(tree, parts[1:])
    return _ec2(tree, parts[0], parts[1:])


def _openstack(tree: dict[str, bytes], parts: list[str]) -> Answer:
    if not parts:
        return _text("\n".join((*OPENSTACK_VERSIONS, "latest")))
    base = "/".join(("openstack", *parts))
    if base in tree:
        return 200, "application/json" if base.endswith(".json") else "text/plain", tree[base]
    names = sorted({name.removeprefix(base + "/").partition("/")[0] for name in tree if name.startswith(base + "/")})
    return _text("\n".join(names)) if names else _nothing()


def _ec2(tree: dict[str, bytes], version: str, parts: list[str]) -> Answer:
    if version not in (*EC2_VERSIONS, "latest"):
        return _nothing()
    user_data = tree.get("ec2/latest/user-data")
    if not parts:
        return _text("meta-data/\nuser-data" if user_data else "meta-data/")
    if parts[0] == "user-data":
        return (200, "application/octet-stream", user_data) if user_data else _nothing()
    if parts[0] != "meta-data":
        return _nothing()
    found: t.Any = json.loads(tree["ec2/latest/meta-data.json"])
    for part in parts[1:]:
        found = found.get(part) if isinstance(found, dict) else None
    return _nothing() if found is None else _text(ec2_listing(found))


def _text(text: str) -> Answer:
    return 200, "text/plain; charset=UTF-8", text.encode()


def _nothing() -> Answer:
    return 404, "text/plain", b"404 Not Found\n"


async def converse(service: Service, network_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, of one request: guests' clients ask seldom."""
    try:
        async with asyncio.timeout(IDLE):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(min(int(length[1]), PASSWORD_MAX + 1)) if length else b""
            address = writer.get_extra_info("peername")[0].removeprefix("::ffff:").partition("%")[0]
            writer.write(respond(service, network_id, address, head, body))
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        return
    finally:
        writer.close()


def respond(service: Service, network_id: str, address: str, head: bytes, posted: bytes = b"") -> bytes:
    """The whole answer to a request."""
    match = _REQUEST.match(head)
    if not match:
        status, kind, body = 405, "text/plain", b"only GET, HEAD and POST\n"
    elif match[1] == b"POST":
        status, kind, body = service.password(network_id, address, match[2].decode("latin-1"), posted)
    else:
        status, kind, body = service.answer(network_id, address, match[2].decode("latin-1"))
    top = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return top.encode() + (b"" if match and match[1] == b"HEAD" else body)


async def main(root: Path, line: socket.socket) -> None:
    service, servers = Service(root, lambda said: line.send(said)), {}
    loop = asyncio.get_running_loop()
    line.setblocking(False)
    ended = asyncio.Event()
    pending: asyncio.Queue[tuple[str, socket.socket | None]] = asyncio.Queue()

    def read() -> None:
        rights = array.array("i")
        text, ancillary, _, _ = line.recvmsg(256, socket.CMSG_LEN(rights.itemsize))
        if not text:
            loop.remove_reader(line.fileno())
            ended.set()
            return
        for _, _, data in ancillary:
            rights.frombytes(data)
        pending.put_nowait((text.decode(), socket.socket(fileno=rights[0]) if rights else None))

    async def take() -> None:
        while True:
            text, listening = await pending.get()
            network_id = text[1:]
            if (old := servers.pop(network_id, None)) is not None:
                old.close()
            if listening is not None:
                servers[network_id] = await asyncio.start_server(functools.partial(converse, service, network_id), sock=listening)

    loop.add_reader(line.fileno(), read)
    taking = asyncio.create_task(take())
    await ended.wait()
    taking.cancel()


if __name__ == "__main__":
    drop(sys.argv[3])
    asyncio.run(main(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
