"""A web server of the test's own, on this machine: what it answers is said by path, and what it was asked is kept."""

from __future__ import annotations

import contextlib
import http.server
import threading
import typing as t

Write = t.Callable[[http.server.BaseHTTPRequestHandler], None]


class WebServer:
    """`answers`: path -> (status, headers, body), or what answers a request itself."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.answers: dict[str, tuple[int, dict[str, str], bytes] | Write] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def serve(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        """Have a path answer so; its URL."""
        self.answers[path] = status, {name.replace("_", "-"): value for name, value in headers.items()}, body
        return self.url + path

    def serve_parts(self, path: str, body: bytes) -> str:
        """Have a path answer so to whoever asks for all of it, or for a part; its URL."""

        def write(handler: http.server.BaseHTTPRequestHandler) -> None:
            start, _, end = handler.headers.get("Range", "").removeprefix("bytes=").partition("-")
            part = body[int(start or 0) : int(end) + 1 if end else None]
            handler.send_response(200 if not start else 206 if part else 416)
            handler.send_header("Content-Length", str(len(part)))
            if start:
                handler.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}")
            handler.end_headers()
            if handler.command == "GET":
                handler.wfile.write(part)

        self.answers[path] = write
        return self.url + path


@contextlib.contextmanager
def web_server() -> t.Iterator[WebServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            answer = server.answers.get(self.path, (404, {}, b""))
            if callable(answer):
                return answer(self)
            status, headers, body = answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: t.Any) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server = WebServer(listening.server_port)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
