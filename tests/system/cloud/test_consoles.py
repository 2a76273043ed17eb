"""The screen and the serial port of a real guest, as a browser and a websocket's client come to them."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .world import Cloud, eventually

ORIGIN = "http://127.0.0.1:5000"


class Stream:
    """The bytes that come by a websocket, however they are cut into messages."""

    def __init__(self, socket: ClientConnection):
        self.socket, self.held = socket, b""

    def read(self, size: int) -> bytes:
        while len(self.held) < size:
            self.held += self.socket.recv(timeout=20)
        taken, self.held = self.held[:size], self.held[size:]
        return taken


@pytest.fixture(scope="module")
def server(real: Cloud) -> Iterator[Any]:
    me = real.connect()
    image, flavor = me.image.find_image("guest", ignore_missing=False), me.compute.find_flavor("m1.tiny", ignore_missing=False)
    made = me.compute.create_server(name="screen", image_id=image.id, flavor_id=flavor.id, networks="none")
    yield me.compute.wait_for_server(made, interval=0.2, wait=60)
    me.compute.delete_server(made)


def opened(real: Cloud, server: Any, protocol: str, type: str) -> str:
    return real.connect().compute.create_server_remote_console(server, protocol=protocol, type=type).url


def websocket(page: str) -> str:
    """What noVNC's page connects to."""
    parts = urlsplit(page)
    return f"ws://{parts.netloc}/{parse_qs(parts.query)['path'][0]}"


def test_a_screen_opens_in_a_browser(real, server):
    url = opened(real, server, "vnc", "novnc")
    with urllib.request.urlopen(url, timeout=20) as page:
        assert page.headers["Content-Type"].startswith("text/html")
        assert "noVNC" in page.read().decode(), "see `make setup`"
    for script in ("core/rfb.js", "vendor/pako/lib/zlib/inflate.js"):
        with urllib.request.urlopen(urljoin(url, script), timeout=20) as answer:
            assert "javascript" in answer.headers["Content-Type"]

    with connect(websocket(url), subprotocols=["binary"], origin=ORIGIN, compression=None) as socket:
        assert socket.subprotocol == "binary"
        screen = Stream(socket)
        assert screen.read(12) == b"RFB 003.008\n"
        socket.send(b"RFB 003.008\n")
        assert screen.read(screen.read(1)[0]) == b"\1", "security: none is asked, the token was it"
        socket.send(b"\1")
        assert screen.read(4) == bytes(4)
        socket.send(b"\1")
        width, height, _, name_size = struct.unpack(">HH16sI", screen.read(24))
        assert server.id in screen.read(name_size).decode()
        socket.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        kind, rectangles = struct.unpack(">BxH", screen.read(4))
        assert kind == 0 and rectangles >= 1, "a picture"


def test_a_token_is_good_once_and_for_our_page_alone(real, server):
    address = websocket(opened(real, server, "vnc", "novnc"))
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, origin="http://evil.example")
    with connect(address) as socket:
        assert Stream(socket).read(4) == b"RFB "
    with pytest.raises(InvalidStatus, match="403"):
        connect(address)
    assert address.rpartition("=")[2] not in real.logged()


def test_a_serial_port_is_a_websocket(real, server):
    with connect(opened(real, server, "serial", "serial")) as socket:
        said = b""

        def prompted() -> bool:
            nonlocal said
            socket.send(b"\n")
            while True:
                try:
                    said += socket.recv(timeout=0.5)
                except TimeoutError:
                    return b"login:" in said

        eventually("a login prompt", prompted, 90)
