"""One request, as handlers see it."""

from __future__ import annotations

import typing as t
from urllib.parse import urlencode

from ..auth.context import ANONYMOUS, Context
from ..errors import BadRequest, Forbidden, TooLarge
from .versions import Version

if t.TYPE_CHECKING:
    from ..db import Tx
    from ..runtime import Runtime
    from .api import Api
    from .dialects import Dialect

BODY_MAX = 1 << 20
Settle = t.Callable[[], t.Awaitable[None]]
Note = t.Callable[["Tx", t.Any], None]
Result = t.TypeVar("Result")


class Request:
    """What was asked, by whom, at which microversion. `runtime` is the process's services."""

    def __init__(self, *, runtime: Runtime, api: Api, method: str, path: str, root: str, query: list[tuple[str, str]],
                 headers: dict[str, str], id: str, raw_query: str = "", peer: str = "",
                 stream: t.Callable[..., t.AsyncIterator[bytes]]):  # fmt: skip
        self.runtime, self.api, self.method, self.path, self.root = runtime, api, method, path, root
        self.query, self.raw_query, self.headers = query, raw_query, headers
        self.id, self.stream, self.peer = id, stream, peer
        self.base = root + api.prefix
        """The service's own root, `http://host:port/compute`."""
        self.dialect: Dialect = api.dialect
        self.version: Version = api.low
        self.context: Context = ANONYMOUS
        self.settling: list[Settle] = []
        self.awaited: dict[t.Any, t.Any] = {}
        """What a transaction of this request needed from outside, raising Await, for when it is run anew."""
        self.note: Note | None = None
        """What records, in the transaction that did it, that it was done; where somebody wants to know."""

    @property
    def token(self) -> str | None:
        """What the caller shows: `X-Auth-Token`, or a bearer token, as clients of OAuth 2.0 send it (RFC 6750)."""
        scheme, _, bearer = self.headers.get("authorization", "").partition(" ")
        return self.headers.get("x-auth-token") or (bearer.strip() if scheme.lower() == "bearer" else None) or None

    @property
    def media(self) -> str:
        """The body's media type, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def told_by_proxy(self, name: str) -> str | None:
        """A header that is believed of a trusted proxy alone, which has to take away what its clients send of that name."""
        value = self.headers.get(name)
        if not value or not self.peer or not self.runtime.config.trusts(self.peer):
            return None
        return value.encode("latin-1").decode("utf-8", "replace")

    async def write(self, fn: t.Callable[[Tx], Result]) -> Result:
        """Do what was asked for, in a transaction that writes, for an operation that is `async def`."""
        return await self.runtime.db.write(lambda tx: self.noted(tx, fn(tx)))

    def noted(self, tx: Tx, result: Result) -> Result:
        """What was done, which is recorded with it where somebody wants to know."""
        if self.note is not None:
            self.note(tx, result)
        return result

    def before_answer(self, settle: Settle) -> None:
        """Have `settle` awaited when what this request wrote has committed, before it is answered. It is waited for no
        longer than the client would want to: the answer is the same where it takes longer, or fails."""
        self.settling.append(settle)

    async def body(self) -> bytes:
        """All of the body. Raises TooLarge, and BadRequest where its length is told as no number."""
        announced = self.headers.get("content-length") or "0"
        if not announced.isdecimal():
            raise BadRequest(f"Content-Length must be a number of bytes, not {announced[:40]}.")
        if len(announced) > 18 or int(announced) > BODY_MAX:
            raise TooLarge(f"Request is too large: the limit is {BODY_MAX} bytes.")
        parts, size = [], 0
        async for part in self.stream():
            size += len(part)
            if size > BODY_MAX:
                raise TooLarge(f"Request is too large: the limit is {BODY_MAX} bytes.")
            parts.append(part)
        return b"".join(parts)

    @property
    def project(self) -> str:
        """The project that the caller's token is for. Raises BadRequest where it is for none: what is made has an owner."""
        if self.context.project_id is None:
            raise BadRequest("The token is for no project: use one of the project that this is to belong to.")
        return self.context.project_id

    @property
    def url(self) -> str:
        """The address as it was sent, without a slash at the end of its path."""
        return self.root + self.path.rstrip("/") + (f"?{self.raw_query}" if self.raw_query else "")

    def link_to_page(self, marker: str | None) -> str:
        """This request's address, with another marker (none: the first page)."""
        query = [(k, v) for k, v in self.query if k != "marker"]
        if marker is not None:
            query.append(("marker", marker))
        return self.root + self.path + (f"?{urlencode(query)}" if query else "")

    def allows(self, rule: str, target: dict | None = None) -> bool:
        """Whether policy lets the caller do what `rule` names, to `target` (their own project's, by default)."""
        policy = self.runtime.policy(rule, self.api)
        return policy.allows(rule, self.context, self.context.own_target() if target is None else target)

    def enforce(self, rule: str, target: dict | None = None) -> None:
        """Raise Forbidden unless policy allows it."""
        if not self.allows(rule, target):
            raise Forbidden(self.api.forbidden.format(rule=rule), kind="PolicyNotAuthorized")
