"""The version document at placement's root."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import Request
from . import api


@api.op("GET", "/", policy=None, reply="versions")
def versions(tx: Tx, request: Request) -> list[dict]:
    """List the versions of this API: there is one."""
    low, high = (f"{major}.{minor}" for major, minor in (api.low, api.high))
    return [{"id": "v1.0", "min_version": low, "max_version": high, "status": "CURRENT", "links": [{"rel": "self", "href": ""}]}]
