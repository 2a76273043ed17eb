"""Asking a server's host something while the client waits."""

from __future__ import annotations

import typing as t

from ...kernel.bus import AgentFailed, AgentUnreachable
from ...kernel.db import Row
from ...kernel.http import Conflict, Request, Unavailable
from .find import find, need_host


async def found(request: Request, id: str) -> Row:
    """The server's row, for an operation that waits. Raises NotFound; Conflict for a server that no host has."""
    row = await request.runtime.db.read(lambda tx: find(tx, request, id))
    need_host(row)
    return row


async def ask(request: Request, row: Row, command: str, **arguments: t.Any) -> t.Any:
    """What the server's host answers. Raises Unavailable where the host is away, Conflict with its reason where it cannot."""
    try:
        return await request.runtime.bus.call(row.host, command, {"id": row.id, **arguments}, timeout=20)
    except AgentUnreachable as error:
        raise Unavailable(str(error)) from None
    except AgentFailed as error:
        raise Conflict(f"Instance {row.id} is not ready: {error}") from None
