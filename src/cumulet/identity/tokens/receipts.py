"""Receipts: what a user gets who proved who they are by some of the methods asked of them. With the receipt in a header, the
next request has to bring the others only."""

from __future__ import annotations

import typing as t

import msgspec
from starlette.responses import Response

from ...kernel import clock
from ...kernel.db import Row
from ...kernel.errors import Unauthorized
from ...kernel.http import Request
from .. import times
from ..fernet import METHODS, BadToken
from ..state import state
from .methods import rules_of

HEADER = "Openstack-Auth-Receipt"
LASTS = 300
"""Seconds."""


class Receipt(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed in a receipt; its first field keeps it from being taken for a token. Times are microseconds since 1970."""

    kind: t.Literal["receipt"]
    user_id: str
    methods: list[str]
    issued: int
    expires: int


def methods_before(request: Request, user: Row) -> list[str]:
    """The methods by which the receipt of a request says that its user was found. Raises Unauthorized for one that is
    somebody else's, too old, of before they had another password, or none."""
    text = request.headers.get(HEADER.lower())
    if not text:
        return []
    now = times.micros(clock.now())
    try:
        receipt = msgspec.msgpack.decode(state(request.runtime).token_keys.open(text), type=Receipt)
    except (BadToken, msgspec.MsgspecError):
        receipt = None
    if receipt is None or receipt.user_id != user.id or not times.micros(user.valid_from) <= receipt.issued <= now < receipt.expires:
        raise Unauthorized(f"Could not find auth receipt: {text}.")
    return receipt.methods


def answer(request: Request, user: Row, domain: Row, methods: list[str]) -> Response:
    """The answer to a request that brought too few methods: a receipt, and which methods would do."""
    now = times.micros(clock.now())
    receipt = Receipt("receipt", user.id, methods, now, now + LASTS * 1_000_000)
    body = {
        "receipt": {
            "methods": methods, "expires_at": times.iso(times.moment(receipt.expires)), "issued_at": times.iso(times.moment(now)),
            "user": {"id": user.id, "name": user.name, "domain": {"id": domain.id, "name": domain.name}},
        },
        "required_auth_methods": [sorted(rule, key=METHODS.index) for rule in rules_of(user) if rule & set(methods)],
    }  # fmt: skip
    sealed = state(request.runtime).token_keys.seal(msgspec.msgpack.encode(receipt))
    return Response(msgspec.json.encode(body), 401, {HEADER: sealed}, media_type="application/json")
