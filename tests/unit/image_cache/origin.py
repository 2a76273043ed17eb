"""A server that gives one image's data, as well or badly as a test wants it to."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cumulet.image.drivers.base import Origin

TICKET = "good"
DATA = os.urandom(3 << 20) + bytes(5 << 20) + os.urandom(1234)


class Server(ThreadingHTTPServer):
    """`cut`: after how many bytes each connection ends; `status`: what is answered; `stall`: set to have it stand still after
    that many bytes, until the test ends. `ranges` has what was asked for."""

    daemon_threads = True

    def __init__(self, data: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.cut, self.stall, self.status = data, 0, 0, 0
        self.ranges: list[str | None] = []
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def origin(self) -> Origin:
        return Origin(url=f"http://127.0.0.1:{self.server_port}/data", ticket=TICKET)

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.status:
            return self.send_error(self.server.status, "as the test wants it")
        if self.headers.get("X-Image-Ticket") != TICKET:
            return self.send_error(403, "no ticket")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        left = self.server.data[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(left)))
        self.end_headers()
        self.wfile.write(left[: self.server.cut or self.server.stall or len(left)])
        if self.server.stall:
            self.server.ended.wait()

    def log_message(self, *_: object) -> None:
        pass
