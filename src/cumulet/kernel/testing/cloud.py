"""A cloud in the test's own process: the real application, database and workers, called without a socket."""

from __future__ import annotations

import typing as t

import anyio.from_thread
import httpx2
from starlette.responses import Response

from .. import ids
from ..auth.context import Context
from ..bus.local import LocalBus
from ..config import Config
from ..db import Tx, metadata
from ..errors import Unauthorized
from ..http.api import Api, Operation
from ..http.application import Application
from ..http.openapi import statuses
from ..http.request import Request
from ..http.routing import Routes
from ..runtime import Authenticate, Runtime
from ..work import Worker
from .rows import CheckedDatabase


class Caller:
    """A client of the cloud with one identity. Answers are httpx2 responses."""

    def __init__(self, cloud: Cloud, prefix: str, token: str | None, context: Context):
        self.cloud, self.prefix, self.token, self.context = cloud, prefix, token, context

    def __call__(self, method: str, path: str, json: t.Any = None, *, version: str | None = None,
                 headers: dict[str, str] | None = None, **options: t.Any) -> httpx2.Response:  # fmt: skip
        """Send a request. version: what `OpenStack-API-Version` says, as in `compute 2.90`."""
        sent = {"X-Auth-Token": self.token} if self.token else {}
        if version:
            sent["OpenStack-API-Version"] = version
        return self.cloud.send(method, self.prefix + path, json=json, headers=sent | (headers or {}), **options)

    def get(self, path: str, **options: t.Any) -> httpx2.Response:
        return self("GET", path, **options)

    def post(self, path: str, json: t.Any = None, **options: t.Any) -> httpx2.Response:
        return self("POST", path, json, **options)

    def put(self, path: str, json: t.Any = None, **options: t.Any) -> httpx2.Response:
        return self("PUT", path, json, **options)

    def patch(self, path: str, json: t.Any = None, **options: t.Any) -> httpx2.Response:
        return self("PATCH", path, json, **options)

    def delete(self, path: str, **options: t.Any) -> httpx2.Response:
        return self("DELETE", path, **options)


class Cloud:
    """The services named by `apis`. Callers are made of roles and projects, without a password; a test of identity
    itself gives its own `authenticate`."""

    def __init__(self, url: str, data: str, apis: dict[str, Api], *, authenticate: Authenticate | None = None,
                 config: dict[str, t.Any] | None = None):  # fmt: skip
        self._contexts: dict[str, Context] = {}
        db = CheckedDatabase(url)
        metadata.drop_all(db.engine)
        metadata.create_all(db.engine)
        self.runtime = Runtime(
            config=Config(data=data, bcrypt_rounds=4, **(config or {})), db=db, bus=LocalBus([]), apis=apis,
            authenticate=authenticate or self._authenticate,
        )  # fmt: skip
        db.on_nudge = self.runtime.bus.nudge
        self._portal_context = anyio.from_thread.start_blocking_portal()
        self.portal = self._portal_context.__enter__()
        self.application = _AsDocumented(self.runtime)
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.application), base_url="http://cloud")

    def close(self) -> None:
        self.portal.call(self._client.aclose)
        self._portal_context.__exit__(None, None, None)
        self.runtime.db.close()

    def caller(self, prefix: str, *roles: str, project: str | None = "p1", user: str = "u1", domain: str | None = None,
               system: bool = False) -> Caller:  # fmt: skip
        """Somebody with these roles (`member` where none is named; `admin` brings the lower ones)."""
        held = set(roles or ("member",))
        held |= {"manager", "member", "reader"} if "admin" in held else {"reader"} if "member" in held else set()
        token = "token-" + ids.new()
        self._contexts[token] = Context(
            user_id=user, user_name=user, user_domain_id="default", project_id=None if system or domain else project,
            project_name=project, project_domain_id="default", domain_id=domain, system=system, roles=frozenset(held),
            token=token, is_admin="admin" in held,
        )  # fmt: skip
        return Caller(self, prefix, token, self._contexts[token])

    def stranger(self, prefix: str) -> Caller:
        """Somebody without a token."""
        return Caller(self, prefix, None, Context())

    def send(self, method: str, path: str, **options: t.Any) -> httpx2.Response:
        return self.portal.call(lambda: self._client.request(method, path, **options))

    def settle(self) -> None:
        """Run all work that is due, until none is."""
        self.portal.call(lambda: Worker(self.runtime).drain())

    def transact(self, fn: t.Callable[[Tx], t.Any]) -> t.Any:
        """Do something to the database directly, for what no API call can bring about."""
        return self.runtime.db.transact(fn)

    def _authenticate(self, request: Request, tx: Tx, token: str) -> Context:
        if token not in self._contexts:
            raise Unauthorized("The request you have made requires authentication.")
        return self._contexts[token]


class _AsDocumented(Application):
    """Fails a test to which an operation answers with a status that the OpenAPI document does not have for it."""

    async def _answer(self, request: Request, routes: Routes) -> tuple[Operation | None, Response]:
        operation, response = await super()._answer(request, routes)
        if operation is not None and response.status_code not in statuses(request.api, operation):
            told = bytes(getattr(response, "body", b""))[:500]  # what is streamed has none
            raise AssertionError(f"{operation.name} answers {response.status_code}, which it does not declare: {told!r}")
        return operation, response
