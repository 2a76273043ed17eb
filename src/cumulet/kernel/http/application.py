"""The ASGI application: finds a request's operation, asks policy, runs the handler in its lane, words the answer."""

from __future__ import annotations

import asyncio
import functools
import time
import typing as t
from urllib.parse import quote

import msgspec
from sqlalchemy import exc
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from .. import ids
from ..db import Tx
from ..errors import ApiError, BadRequest, MethodNotAllowed, NotFound, Unauthorized, UnsupportedMediaType
from ..log import get_logger
from ..metrics import REQUESTS
from ..runtime import Runtime
from . import idempotency, wire
from .api import Operation
from .bodies import pieces
from .dialects import Dialect
from .request import Request
from .routing import Match, Routes
from .versions import prune, shape

log = get_logger("http")
SETTLE = 2.0
"""Seconds that an answer is held back at most until what was written is so in the world."""


class Application:
    """All the services on one port."""

    def __init__(self, runtime: Runtime):
        self.runtime = runtime
        self._mounts = [mount for api in runtime.apis.values() for mount in api.mounts.items()]
        self._apis = sorted(((api.prefix, api, Routes(api)) for api in runtime.apis.values()), key=lambda x: -len(x[0]))

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        mounted = next((fn for prefix, fn in self._mounts if scope["path"].startswith(prefix)), None)
        if mounted is not None:
            await mounted(self.runtime, scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _serve(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        http = HttpRequest(scope, receive)
        started = time.perf_counter()
        request, routes = self._request(http)
        with log.bound(request_id=request.id):
            operation, response = await self._answer(request, routes)
            try:
                await response(scope, receive, send)
            except ClientDisconnect:
                log.info("the client went away", path=request.path)
        took = time.perf_counter() - started
        name = operation.name if operation else "none"
        REQUESTS.labels(request.api.service, name, response.status_code).observe(took)
        log.debug("answered", method=request.method, path=request.path, status=response.status_code, ms=round(took * 1e3, 1))

    def _request(self, http: HttpRequest) -> tuple[Request, Routes]:
        path = _raw_path(http.scope)
        _, api, routes = next(entry for entry in self._apis if not entry[0] or path == entry[0] or path.startswith(entry[0] + "/"))
        host = http.headers.get("host")
        root = self.runtime.config.public_url.rstrip("/") or (f"http://{host}" if host else self.runtime.config.url)
        return Request(
            runtime=self.runtime, api=api, method=http.method, path=path, root=root, query=http.query_params.multi_items(),
            raw_query=quote(http.scope["query_string"], safe="/%:@!$&'()*+,;=~?"),
            headers={k.lower(): v for k, v in http.headers.items()}, id=ids.request_id(), stream=functools.partial(pieces, http),
            peer=http.client.host if http.client else "",
        ), routes  # fmt: skip

    async def _answer(self, request: Request, routes: Routes) -> tuple[Operation | None, Response]:
        operation = None
        try:
            wire.check_query(request.query)
            match = routes.find(request.path.removeprefix(request.api.prefix), request.method)
            request.version = request.api.dialect.negotiate(request, request.api.low, request.api.high)
            if match is None:
                await self._authenticated(request)
                raise NotFound("The resource could not be found.")
            candidates = match.methods.get(request.method) or match.methods.get("GET" if request.method == "HEAD" else "")
            if not candidates:
                raise MethodNotAllowed("The method is not allowed for the requested URL.", headers={"Allow": _allowed(match)})
            request.dialect = candidates[0].dialect or request.dialect
            raw = b"" if candidates[0].raw else await request.body()
            operation, body = self._choose(request, candidates, raw)
            params = {name: value for name, value in match.params.items() if name not in request.api.ignored}
            response = await self._run(request, operation, params, body, raw)
        except ApiError as error:
            response = self._fault(request, error)
        except ClientDisconnect:
            response = self._fault(request, BadRequest("The request ended before its body did."))
        except exc.DataError as error:
            log.warning("a value's type allows more than its column keeps", path=request.path, error=str(error.orig))
            response = self._fault(request, BadRequest(f"A value in the request cannot be kept: {str(error.orig).partition(chr(10))[0]}"))
        except Exception:
            log.exception("unexpected error", method=request.method, path=request.path)
            response = self._fault(request, ApiError(f"Unexpected API Error. Tell your cloud's operator, with {request.id}."))
        self._finish(request, response)
        return operation, response

    async def _authenticated(self, request: Request) -> None:
        """A path that does not exist is told only to those with a token, where the service guards its paths."""
        if request.token and request.api.base and request.api.dialect.guards_paths:
            await self.runtime.db.read(lambda tx: _authenticate(request, tx), like="a token")

    def _choose(self, request: Request, candidates: list[Operation], raw: bytes) -> tuple[Operation, t.Any]:
        """Which of the operations on a path is meant: by the action in the body, and by the microversion."""
        body, decoded = None, False
        takes_json = (candidates[0].body is not None or candidates[0].action is not None) and not candidates[0].form
        if raw and takes_json and not request.headers.get("content-type", "application/json").lower().startswith("application/"):
            raise UnsupportedMediaType(f"Unsupported Content-Type {request.headers['content-type']}")
        if any(o.action for o in candidates):
            body, decoded = wire.decode(raw), True
            candidates = _by_action(candidates, body)
        known = [o for o in candidates if o.first <= request.version <= o.last]
        if not known:
            raise NotFound("The resource could not be found.")
        if known[0].body is not None and not decoded:
            body = (raw,)  # decoded after the caller is known, so that a stranger learns nothing from it
        return known[0], body

    async def _run(self, request: Request, operation: Operation, params: dict[str, str], body: t.Any, raw: bytes) -> Response:
        db, audit = self.runtime.db, request.api.audit
        if audit is not None and operation.write and self.runtime.config.audit != "off":
            request.note = functools.partial(audit, request, operation, params)
        if not operation.waits:
            lane = db.write if operation.write else functools.partial(db.read, like=_kind(request, operation))
            response = await lane(lambda tx: self._in_transaction(request, operation, params, body, raw, tx))
            if request.settling:
                await _settled(request)
            return response

        def admit(tx: Tx) -> None:
            _authorize(request, operation, params, tx)

        await db.read(admit, like=("admitted", operation.name))
        key = _idempotency_key(request, operation)
        if key and (before := await db.write(lambda tx: idempotency.begin(tx, request, key, raw))):
            return before
        try:
            arguments = _arguments(request, operation, body)
            response = self._success(request, operation, await operation.fn(request, **params, **arguments))
        except BaseException:
            if key:
                await db.write(lambda tx: idempotency.drop(tx, request, key))
            raise
        if key:
            await db.write(lambda tx: (idempotency.drop(tx, request, key), idempotency.keep(tx, request, key, raw, response)))
        return response

    def _in_transaction(self, request: Request, operation: Operation, params: dict[str, str], body: t.Any, raw: bytes, tx: Tx) -> Response:
        request.settling.clear()  # of a try that the database took back
        _authorize(request, operation, params, tx)
        key = _idempotency_key(request, operation)
        if key and (before := idempotency.find(tx, request, key, raw)):
            return before
        result = request.noted(tx, operation.fn(tx, request, **params, **_arguments(request, operation, body)))
        response = self._success(request, operation, result)
        if key:
            idempotency.keep(tx, request, key, raw, response)
        return response

    def _success(self, request: Request, operation: Operation, result: t.Any) -> Response:
        if isinstance(result, Response):
            return result
        reply = result if isinstance(result, wire.Reply) else wire.Reply(result)
        status = reply.status or operation.status_at(request.version)
        if reply.body is None:
            return Response(status_code=status, headers=reply.headers)
        body = reply.body if isinstance(reply.body, msgspec.Raw) else msgspec.json.encode(encode(request, operation.reply, reply.body))
        return Response(bytes(body), status, reply.headers, media_type="application/json")

    def _fault(self, request: Request, error: ApiError) -> Response:
        if isinstance(error, Unauthorized):
            error.headers.setdefault("WWW-Authenticate", f'Keystone uri="{request.root}{request.api.dialect.login}"')
        shared = isinstance(error, Unauthorized) and request.dialect is request.api.dialect and not request.dialect.words_logins
        media, body = (Dialect() if shared else request.dialect).fault(request, error)
        return Response(body, error.status, error.headers, media_type=media)

    def _finish(self, request: Request, response: Response) -> None:
        if request.method == "HEAD" and hasattr(response, "body"):
            response.body = b""  # its headers stay as GET has them
        response.headers["X-Openstack-Request-Id"] = request.id
        dialect = request.api.dialect
        if dialect.request_id_header:
            response.headers[dialect.request_id_header] = request.id
        for name, value in dialect.version_headers(request.version).items():
            response.headers.setdefault(name, value)


def encode(request: Request, name: str | None, result: t.Any) -> t.Any:
    """A handler's result as JSON values of the request's microversion, under its key, with the list's links."""
    page = result if isinstance(result, wire.Page) else None
    items = page.items if page else result
    sample = items[0] if isinstance(items, list) and items else items
    data: t.Any = items
    if isinstance(sample, msgspec.Struct):
        data = prune(msgspec.to_builtins(items), shape(type(sample), request.version))
    elif request.dialect.picks_fields:
        data = msgspec.to_builtins(items)
    body = {name: data} if name else data
    if page:
        request.api.dialect.page(request, name or "", page, body)
        body.update(page.extra or {})
    return request.api.dialect.present(request, body)


def _authenticate(request: Request, tx: Tx) -> None:
    token = request.token
    if not token:
        raise Unauthorized("The request you have made requires authentication.")
    request.context = request.runtime.authenticate(request, tx, token)


def _authorize(request: Request, operation: Operation, params: dict[str, str], tx: Tx) -> None:
    if operation.policy is None:
        return
    _authenticate(request, tx)
    target = operation.target(tx, request, **params) if operation.target else None
    request.enforce(operation.policy, target)


def _kind(request: Request, operation: Operation) -> t.Hashable:
    """What requests have in common whose answers take as long: a list that is filtered by something else is another one. Of names that
    strangers may send, however long, a number is kept."""
    return operation.name, request.version, hash(frozenset(name for name, _ in request.query))


async def _settled(request: Request) -> None:
    """Wait for what the request asked to have awaited before its answer."""
    running = [asyncio.ensure_future(settle()) for settle in request.settling]
    done, late = await asyncio.wait(running, timeout=SETTLE)
    for task in late:
        task.cancel()
    for error in filter(None, (task.exception() for task in done)):
        log.warning("answered before what was asked for is so", path=request.path, error=str(error))


def _idempotency_key(request: Request, operation: Operation) -> str | None:
    """The key of a POST that is to happen once. A stranger has none: their answer may be a token, which is nobody else's."""
    mine = operation.method == "POST" and operation.write and not operation.raw and request.context.user_id is not None
    return request.headers.get("idempotency-key") if mine else None


def _arguments(request: Request, operation: Operation, body: t.Any) -> dict[str, t.Any]:
    arguments: dict[str, t.Any] = {}
    sent = request.media
    if operation.media and sent not in operation.media and not operation.form:
        raise UnsupportedMediaType(f"Unsupported Content-Type {sent}: {operation.media[0]} is expected.")
    if operation.query is not None:
        arguments["query"] = wire.load_query(request.query, operation.query)
    if operation.body is not None:
        if operation.form:
            data = wire.decode_form(body[0]) if sent == wire.FORM else {}
        else:
            data = wire.decode(body[0]) if isinstance(body, tuple) else body
        arguments["body"] = _body(request, operation, data)
    return arguments


def _body(request: Request, operation: Operation, data: t.Any) -> t.Any:
    request.dialect.refuse(data)
    key = operation.action or operation.wrap
    if key is None:
        return wire.load(data, operation.body, request.version)
    if not isinstance(data, dict) or key not in data:
        raise BadRequest(f"Invalid input for field/attribute {key}: '{key}' is a required property")
    extra = [name for name in data if name != key]
    if extra and operation.action is None and _strict(operation.body):
        raise BadRequest(f"Additional properties are not allowed ('{extra[0]}' was unexpected)")
    return wire.load(data[key], operation.body, request.version, key)


def _strict(body: t.Any) -> bool:
    return isinstance(body, type) and issubclass(body, wire.Body)


def _by_action(candidates: list[Operation], body: t.Any) -> list[Operation]:
    if not isinstance(body, dict) or not body:
        raise BadRequest('Malformed request body: an action is expected, as in {"name": {...}}')
    if len(body) > 1:
        raise BadRequest("Only one action is allowed in a request; found " + ", ".join(sorted(body)))
    named = [o for o in candidates if o.action in body]
    if not named:
        raise BadRequest(f"There is no such action: {next(iter(body))}")
    return named


def _allowed(match: Match) -> str:
    """The methods that a path has, as `Allow` lists them."""
    return ", ".join(sorted(match.methods.keys() | ({"HEAD"} if "GET" in match.methods else set())))


def _raw_path(scope: t.Any) -> str:
    """The path as it was sent, still quoted: a quoted slash or question mark is part of a name. Bytes that a client
    should have quoted are."""
    return quote(scope.get("raw_path") or scope["path"].encode(), safe="/%:@!$&'()*+,;=~")
