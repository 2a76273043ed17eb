"""A server's NUMA topology: guests have one node, of which the API shows nothing."""

from __future__ import annotations

import typing as t

from ...kernel.db import Tx
from ...kernel.http import Request
from .. import ADMIN, PROJECT_READER, api
from .find import find, target

SHOW = api.rule("compute:server:topology:index", PROJECT_READER, "Show a server's NUMA topology.")
api.rule("compute:server:topology:host:index", ADMIN, "See the host's nodes and processors in a server's NUMA topology.")


@api.op("GET", "/servers/{id}/topology", policy=SHOW, target=target, first="2.78", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> dict[str, t.Any]:
    """Show a server's NUMA topology; a server that was not made with one has no nodes."""
    find(tx, request, id)
    return {"nodes": [], "pagesize_kb": None}
