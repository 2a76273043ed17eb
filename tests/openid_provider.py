"""A real OpenID provider, Canaille, in the test's process, with a client for the cloud and users who have passwords; and one
that answers what no real one would."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import os
import socketserver
import threading
import typing as t
import wsgiref.simple_server
from urllib.parse import urljoin

import requests
from joserfc.jwk import RSAKey

CLIENT, SECRET = "cumulet", "the cloud's secret +&%"
QUIET = {"version": 1, "disable_existing_loggers": False}


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_request(self, *_: t.Any) -> None:
        pass


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class OpenIdServer:
    """`key` is the provider's own, so that a test may sign what it would never issue."""

    def __init__(self) -> None:
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
        from canaille import create_app
        from canaille.app import models
        from canaille.backends import Backend

        self.key = RSAKey.generate_key(2048, {"kid": "test-1"})
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://localhost:{self._server.server_port}"
        self.models = models
        self.app = create_app({
            "TESTING": True, "ENV_FILE": None, "SECRET_KEY": os.urandom(16).hex(), "WTF_CSRF_ENABLED": False,
            "PREFERRED_URL_SCHEME": "http", "SERVER_NAME": self.issuer.removeprefix("http://"),
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "LOGGING": QUIET, "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}}},
            "CANAILLE_OIDC": {"TRUSTED_DOMAINS": ["localhost"], "ACTIVE_JWKS": [self.key.as_dict(private=True)]},
        })  # fmt: skip
        self.backend = Backend.instance
        self._server.set_app(self.app)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self, id: str, secret: str, *redirect_uris: str, **more: t.Any) -> None:
        """A client whose users need not consent."""
        with self.app.app_context():
            made = self.models.Client(
                client_id=id, client_secret=secret, client_name=id, client_id_issued_at=dt.datetime.now(dt.UTC),
                redirect_uris=list(redirect_uris), client_uri=f"{self.issuer}/{id}", response_types=["code"],
                grant_types=["authorization_code", "password", "client_credentials"],
                scope=["openid", "email", "profile", "groups"], token_endpoint_auth_method="client_secret_basic", **more,
            )  # fmt: skip
            self.backend.save(made)
            made.audience = [made]
            self.backend.save(made)

    def user(self, name: str, password: str, email: str, *groups: str) -> None:
        with self.app.app_context():
            user = self.models.User(user_name=name, family_name=name, formatted_name=name.title(), emails=[email], password=password)
            self.backend.save(user)
            for group in groups:
                self.backend.save(self.models.Group(display_name=group, members=[user]))

    def log_in(self, url: str, name: str, password: str) -> str:
        """Where the provider sends a browser back to, that was sent there by this URL and in which somebody logs in."""
        browser = requests.Session()
        page = browser.post(browser.get(url).url, data={"login": name})
        step = browser.post(page.url, data={"password": password}, allow_redirects=False)
        while (at := urljoin(step.url, step.headers["Location"])).startswith(self.issuer):
            step = browser.get(at, allow_redirects=False)
        return at


class OddServer:
    """What says that it is an OpenID provider, and answers as a test wants: `answers` has (status, headers, body) by path.
    What is no bytes is sent as JSON."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "test-1"})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.issuer = f"http://localhost:{self._server.server_port}"
        self.asked: list[tuple[str, dict[str, str], str]] = []
        self.release = threading.Event()
        endpoints = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token", "userinfo", "introspection")}
        self.answers: dict[str, tuple[int, dict[str, str], t.Any]] = {
            "/.well-known/openid-configuration": (200, {}, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **endpoints}),
            "/jwks": (200, {}, {"keys": [self.key.as_dict(private=False)]}),
        }
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                server.asked.append((self.path, dict(self.headers), body))
                status, headers, answer = server.answers.get(self.path, (404, {}, b""))
                if answer == "never":
                    server.release.wait()
                sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(sent)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(sent)

            do_POST = do_GET

            def log_message(self, *_: t.Any) -> None:
                pass

        return Handler
