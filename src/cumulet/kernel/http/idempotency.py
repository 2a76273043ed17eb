"""`Idempotency-Key`: a POST repeated with the same key gets the first one's answer, and does nothing again.

The answer is kept in the transaction that did the work, so there is no moment at which one is there without the other.
It may hold a fresh secret, and the request a password: the one is kept sealed, of the other a mark that needs the same key.
"""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec
import sqlalchemy as sa
from starlette.responses import Response

from .. import clock
from ..db import Tx, table
from ..errors import BadRequest, Conflict
from ..sealing import Box, Unsealable, own_box

if t.TYPE_CHECKING:
    from .request import Request

KEEP = dt.timedelta(hours=24)
UNDER_WAY = 0
"""The status of a request that has no answer yet."""
ABANDONED = dt.timedelta(minutes=5)
"""After this time a request without an answer has died with its process."""

idempotency_keys = table(
    "idempotency_keys",
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("key", sa.String(255), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    unique={("owner", "key"): "A request with this Idempotency-Key is under way."},
)
"""`sealed` is the answer's headers and body."""


def find(tx: Tx, request: Request, key: str, raw: bytes) -> Response | None:
    """The answer that this key got before. Raises BadRequest where it came with another request."""
    if len(key) > 255 or not key.isprintable():
        raise BadRequest("Idempotency-Key must be printable text of at most 255 characters.")
    row = tx.get(idempotency_keys, owner=_owner(request), key=key)
    if row is None or (row.status == UNDER_WAY and row.created_at < clock.now() - ABANDONED):
        return None
    if row.status == UNDER_WAY:
        raise Conflict("A request with this Idempotency-Key is under way.")
    headers, body = _opened(request, row.sealed)
    if row.fingerprint != _fingerprint(request, raw):
        raise BadRequest("This Idempotency-Key came with another request before; use a new one for a new request.")
    return Response(body, row.status, {**headers, "Idempotency-Replayed": "true"})


def begin(tx: Tx, request: Request, key: str, raw: bytes) -> Response | None:
    """For work that no transaction holds: the answer that this key got before, or a mark that its request is under way."""
    before = find(tx, request, key, raw)
    if before is None:
        drop(tx, request, key)
        keep(tx, request, key, raw, Response(status_code=UNDER_WAY))
    return before


def drop(tx: Tx, request: Request, key: str) -> None:
    """Forget a key: its request came to nothing."""
    tx.delete(idempotency_keys, owner=_owner(request), key=key)


def keep(tx: Tx, request: Request, key: str, raw: bytes, response: Response) -> None:
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    tx.insert(
        idempotency_keys, owner=_owner(request), key=key, fingerprint=_fingerprint(request, raw),
        status=response.status_code, sealed=_box(request).seal(msgspec.msgpack.encode((headers, bytes(response.body)))),
    )  # fmt: skip


def forget(tx: Tx) -> int:
    """Remove what is older than a day."""
    return tx.execute(idempotency_keys.delete().where(idempotency_keys.c.created_at < clock.now() - KEEP)).rowcount


def _owner(request: Request) -> str:
    return f"{request.context.user_id}"


def _fingerprint(request: Request, raw: bytes) -> str:
    return _box(request).mark(msgspec.json.encode((request.path, request.context.project_id, raw)))


def _box(request: Request) -> Box:
    return own_box(request.runtime.config.root)


def _opened(request: Request, sealed: bytes) -> tuple[dict[str, str], bytes]:
    try:
        return msgspec.msgpack.decode(_box(request).open(sealed), type=tuple[dict[str, str], bytes])
    except Unsealable:
        raise Conflict(
            "The answer to the first request with this Idempotency-Key is sealed with a key that this host does not have: "
            "see what became of that request, and use a new key for a new one."
        ) from None
