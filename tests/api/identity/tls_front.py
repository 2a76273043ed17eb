"""A proxy that ends TLS before a service: it asks clients for certificates, and hands them on as RFC 9440 has it."""

from __future__ import annotations

import base64
import http.client
import http.server
import ssl
import threading
import typing as t
from pathlib import Path

from .certificate_authority import Authority, Certificate


class Front:
    """Listens on a free port of the loopback interface. `authority` vouches for its clients, and for itself."""

    def __init__(self, target: str, authority: Authority, root: Path):
        self.ca, self.root = root / "ca.pem", root
        self.ca.write_text(authority.own.pem)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(*self.write("front", authority.issue(CN="front")))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(target))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def write(self, name: str, certificate: Certificate) -> tuple[str, str]:
        """The paths of a certificate and its key."""
        pem, key = self.root / f"{name}.pem", self.root / f"{name}.key"
        pem.write_text(certificate.pem)
        key.write_text(certificate.key)
        return str(pem), str(key)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(target: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("client-cert", "remote-user")}
            if der := t.cast(ssl.SSLSocket, self.connection).getpeercert(binary_form=True):
                headers["Client-Cert"] = f":{base64.b64encode(der).decode()}:"
            connection = http.client.HTTPConnection(target)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _pass_on

        def log_message(self, *_: t.Any) -> None: ...

    return Handler
