"""Operations: one declaration gives route, versions, policy, validation, errors and the OpenAPI document."""

from __future__ import annotations

import dataclasses as dc
import inspect
import re
import typing as t

from ..auth.context import SCOPES
from ..auth.policy import Rule
from .dialects import Dialect
from .versions import Version, version
from .wire import FORM, Body, OpenBody, Query

FIRST, LAST = (0, 0), (999, 999)


@dc.dataclass(frozen=True)
class Operation:
    """A handler with everything that is declared of it."""

    method: str
    path: str
    fn: t.Callable
    policy: str | None
    target: t.Callable | None
    wrap: str | None
    reply: str | None
    action: str | None
    status: dict[Version, int]
    errors: tuple[int, ...]
    first: Version
    last: Version
    write: bool
    raw: bool
    media: tuple[str, ...]
    dialect: Dialect | None
    body: t.Any
    query: type[Query] | None
    view: t.Any

    @property
    def waits(self) -> bool:
        """An `async def` waits on the world and gets no transaction; a `def` gets one and cannot wait."""
        return inspect.iscoroutinefunction(self.fn)

    @property
    def form(self) -> bool:
        """Whether the body is that of an HTML form. One of any other type has no fields."""
        return FORM in self.media

    @property
    def name(self) -> str:
        return f"{self.fn.__module__.removeprefix('cumulet.')}.{self.fn.__name__}"

    def status_at(self, at: Version) -> int:
        return self.status[max(v for v in self.status if v <= at)]


class Api:
    """All the operations and policy rules of one service.

    `prefix` is where the service is mounted (`/compute`); each operation's path follows it and names its major
    version itself, except that `base` (`/v2.1`) is put before a path that does not begin with `/v` or equal `/`.
    `also` are further bases that mean the same (`/v2.1/{project_id}`); what bases name is not passed to handlers.
    `scopes` are the kinds of token that a rule is for where it does not name its own.
    """

    def __init__(self, service: str, *, prefix: str, dialect: Dialect, base: str = "", also: tuple[str, ...] = (),
                 low: str = "0.0", high: str = "0.0", forbidden: str = "Policy doesn't allow {rule} to be performed.",
                 scopes: tuple[str, ...] = SCOPES):  # fmt: skip
        self.service, self.prefix, self.dialect, self.base, self.also = service, prefix, dialect, base, also
        self.ignored = frozenset(re.findall(r"\{(\w+)\}", " ".join((base, *also))))
        self.low, self.high = _range(low), _range(high)
        self.forbidden, self.scopes = forbidden, scopes
        self.operations: list[Operation] = []
        self.rules: dict[str, Rule] = {}
        self.audit: t.Callable[..., None] | None = None
        """`(request, operation, path, tx, result)` that records what a writing operation did, where events are wanted."""
        self.exchange = ""
        """Where upstream's consumers look for this service's notifications on the message server; empty: by its name."""
        self.mounts: dict[str, t.Callable] = {}
        """Path -> `(runtime, scope, receive, send)` that serves all below it, websockets too, as an ASGI application does."""

    def rule(self, name: str, check: str, description: str = "", *, scopes: tuple[str, ...] | None = None) -> str:
        """Declare a policy rule with its default, in the policy language, and the kinds of token that it is for."""
        self.rules[name] = Rule(name, check, description, self.scopes if scopes is None else scopes)
        return name

    def op(self, method: str, path: str, *, policy: str | None, target: t.Callable | None = None,
           wrap: str | None = None, reply: str | None = None, action: str | None = None,
           status: int | dict[str, int] = 200, errors: tuple[int, ...] = (), first: str | None = None,
           last: str | None = None, write: bool | None = None, raw: bool = False, media: tuple[str, ...] = (),
           dialect: Dialect | None = None) -> t.Callable:  # fmt: skip
        """Declare an operation.

        policy: the rule's name, checked before the handler runs; None is open to anyone, even without a token.
        target: `(tx, request, **path) -> dict`, what the rule is checked against; default the caller's own project.
        wrap: the key round the request's body, and (unless `reply` names another) round the response's.
        action: the key that picks this among operations on one path, as in `POST /servers/{id}/action`.
        status: of success; by microversion where it changed.
        write: whether it needs the write lane; GET and HEAD do not, others do.
        raw: the body is a stream that the handler reads by itself.
        media: the only media types that the body may have, where they are narrower than any `application/...`.
        dialect: how its faults are worded, where that is not the service's way.
        """
        if policy is not None and policy not in self.rules:
            raise LookupError(f"{method} {path}: no rule {policy}")

        def register(fn: t.Callable) -> t.Callable:
            hints = t.get_type_hints(fn, include_extras=True)
            view = hints.get("return")
            self.operations.append(Operation(
                method=method, path=path, fn=fn, policy=policy, target=target, wrap=wrap,
                reply=reply if reply is not None else wrap, action=action,
                status={version(k) if k != "0.0" else FIRST: v for k, v in status.items()} if isinstance(status, dict) else {FIRST: status},
                errors=errors, first=version(first) if first else FIRST, last=version(last) if last else LAST,
                write=method not in ("GET", "HEAD") if write is None else write, raw=raw, media=media,
                dialect=dialect,
                body=hints.get("body"), query=hints.get("query"), view=None if view is type(None) else view,
            ))  # fmt: skip
            return fn

        return register

    def paths(self, operation: Operation) -> list[str]:
        """Every path that the operation answers on, with the service's prefix."""
        if operation.path in ("", "/versions") or (operation.path.startswith("/v") and self._names_version(operation.path)):
            return [self.prefix + operation.path]
        return [self.prefix + base + operation.path for base in (self.base, *self.also)]

    def parameters(self, operation: Operation) -> set[str]:
        """What the operation's path names, and its handler is passed."""
        return set(re.findall(r"\{(\w+)\}", operation.path)) - self.ignored

    @staticmethod
    def _names_version(path: str) -> bool:
        return len(path) > 2 and path[2].isdigit()


def _range(text: str) -> Version:
    return FIRST if text == "0.0" else version(text)


__all__ = ["Api", "Body", "OpenBody", "Operation", "Query"]
