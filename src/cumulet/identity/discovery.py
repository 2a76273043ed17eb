"""Discovery: which versions of the API there are."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import Reply, Request
from . import api

VERSION, UPDATED = "v3.14", "2020-04-07T00:00:00Z"
"""The newest version of the API and its date."""


@api.op("GET", "", policy=None, status=300)
def versions(tx: Tx, request: Request) -> Reply[dict]:
    """List the API's versions."""
    return Reply({"versions": {"values": [_version(request)]}}, headers={"Location": f"{request.base}/v3/"})


@api.op("GET", "/v3", policy=None)
def version(tx: Tx, request: Request) -> dict:
    """Show version 3 of the API."""
    return {"version": _version(request)}


def _version(request: Request) -> dict:
    return {
        "id": VERSION,
        "status": "stable",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{request.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
