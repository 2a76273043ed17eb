"""What consoles' addresses lead to: the page with a screen, and the proxy, which carries bytes between a client's websocket
and the socket of a guest's screen or serial port.

A token opens one connection. The host says where the guest's socket is; it is connected to from here, so that the host has
to be this machine, and the socket one that this process's user may connect to.
"""

from __future__ import annotations

import asyncio
import os
import socket
import typing as t
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ..kernel.bus import AgentError
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from .console_page import page
from .servers.consoles import redeem
from .service import api

log = get_logger("console")

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]

CHUNK = 1 << 16
REFUSED, FAILED, ENDED = 1008, 1011, 1000
"""Codes that a websocket is closed with (RFC 6455, 7.4.1)."""


async def console(runtime: Runtime, scope: Message, receive: Receive, send: Send) -> None:
    """Serve what is below `/console/`, as an ASGI application does: the page with the screen, and the websockets."""
    if scope["type"] == "http":
        await page(scope)(scope, receive, send)
    else:
        await _proxy(runtime, scope, receive, send)


async def _proxy(runtime: Runtime, scope: Message, receive: Receive, send: Send) -> None:
    """Serve one websocket at `/console/{vnc|serial}`, or below that. One that is refused is closed before it is accepted, which
    its client sees as 403."""
    await receive()
    kind = scope["path"].split("/")[2]
    if not _origin_allowed(runtime, scope) or not (row := await redeem(runtime, kind, _token(scope))):
        await send({"type": "websocket.close", "code": REFUSED})
        return
    try:
        path = await runtime.bus.call(row.host, "compute.console_path", {"id": row.id, "kind": kind}, timeout=20)
        reader, writer = await asyncio.open_unix_connection(sock=await asyncio.to_thread(_connected, Path(path)))
    except (AgentError, OSError) as error:
        log.warning("a console could not be opened", server=row.id, host=row.host, kind=kind, error=str(error))
        await send({"type": "websocket.close", "code": FAILED, "reason": "the console could not be opened"})
        return
    log.info("a console was opened", server=row.id, kind=kind)
    await send({"type": "websocket.accept", "subprotocol": "binary" if "binary" in scope.get("subprotocols", ()) else None})
    try:
        await _pump(reader, writer, receive, send)
    finally:
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receive: Receive, send: Send) -> None:
    """Carry bytes both ways until either end goes away."""
    ways = [asyncio.create_task(_to_guest(writer, receive)), asyncio.create_task(_to_client(reader, send))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _to_guest(writer: asyncio.StreamWriter, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        writer.write(message.get("bytes") or (message.get("text") or "").encode())
        await writer.drain()


async def _to_client(reader: asyncio.StreamReader, send: Send) -> None:
    while data := await reader.read(CHUNK):
        await send({"type": "websocket.send", "bytes": data})
    await send({"type": "websocket.close", "code": ENDED})


def _connected(path: Path) -> socket.socket:
    """Connect to a socket file, by way of its directory: its path may be longer than a socket's address can be."""
    guest = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        guest.connect(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        guest.close()
        raise
    finally:
        os.close(directory)
    return guest


def _token(scope: Message) -> str:
    """The token in a websocket's address; in that of the page too, where it is in what the page is to connect to."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    inside = parse_qs(query.get("path", [""])[0].partition("?")[2])
    return (query.get("token") or inside.get("token") or [""])[0]


def _origin_allowed(runtime: Runtime, scope: Message) -> bool:
    """Whether the page that opened the websocket, where a browser did, came from here, as the real proxy looks at it: by the name
    of the host, which is the one that the client asked or the public one, and by the scheme, of which a proxy in front knows more."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if "origin" not in headers:
        return True
    public = urlsplit(runtime.config.url)
    try:
        origin, asked = urlsplit(headers["origin"]), urlsplit(f"//{headers.get('host', '')}")
    except ValueError:
        return False
    scheme = headers.get("x-forwarded-proto", origin.scheme)
    return origin.hostname is not None and origin.hostname in (asked.hostname, public.hostname) and scheme == public.scheme


api.mounts["/console/"] = console
