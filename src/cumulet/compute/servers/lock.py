"""Locking a server against everybody but administrators, and unlocking it."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Body, Request, UnsetType, since
from .. import ADMIN, PROJECT_MEMBER, api
from ..wire import PRINTABLE
from .find import find, record, target
from .tables import servers


class Lock(Body):
    locked_reason: t.Annotated[
        t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=PRINTABLE)] | UnsetType, since("2.73")
    ] = UNSET


LOCK = api.rule("os_compute_api:os-lock-server:lock", PROJECT_MEMBER, "Lock a server.")
UNLOCK = api.rule("os_compute_api:os-lock-server:unlock", PROJECT_MEMBER, "Unlock a server.")
OVERRIDE = api.rule("os_compute_api:os-lock-server:unlock:unlock_override", ADMIN, "Unlock a server that somebody else locked.")


@api.op("POST", "/servers/{id}/action", action="lock", policy=LOCK, target=target, status=202, errors=(404,))
def lock(tx: Tx, request: Request, id: str, body: Lock | None) -> None:
    """Lock a server. Its owner's lock gives way to nobody's; an administrator's takes the place of its owner's."""
    row = find(tx, request, id)
    who = _who(request, row)
    if who == "owner" and row.locked_by:
        return
    reason = body.locked_reason if body is not None and body.locked_reason is not UNSET else None
    tx.update(servers, id, locked_by=who, locked_reason=reason)
    record(tx, request, row, "lock")


@api.op("POST", "/servers/{id}/action", action="unlock", policy=UNLOCK, target=target, status=202, errors=(404,))
def unlock(tx: Tx, request: Request, id: str) -> None:
    """Unlock a server."""
    row = find(tx, request, id)
    if row.locked_by and row.locked_by != _who(request, row):
        request.enforce(OVERRIDE, {"project_id": row.project_id, "user_id": row.user_id})
    tx.update(servers, id, locked_by=None, locked_reason=None)
    record(tx, request, row, "unlock")


def _who(request: Request, row: Row) -> str:
    """As whom the caller locks: those in the server's project are its owners, others are administrators."""
    return "owner" if row.project_id == request.context.project_id else "admin"
