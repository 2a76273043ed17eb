"""The version documents of the compute API."""

from __future__ import annotations

import typing as t

from ..kernel.db import Tx
from ..kernel.http import Request
from . import api

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "", policy=None, reply="versions")
def index(tx: Tx, request: Request) -> list[dict]:
    """List the API's major versions."""
    return [{name: shown[name] for name in ("id", "status", "version", "min_version", "updated", "links")} for shown in (
        _version(request, "v2.0", links=1), _version(request, "v2.1", links=1))]  # fmt: skip


@api.op("GET", "/v2", policy=None, reply="version")
def show_old(tx: Tx, request: Request) -> dict:
    """Show the version without microversions."""
    return _version(request, "v2.0")


@api.op("GET", "/v2.1", policy=None, reply="version")
def show(tx: Tx, request: Request) -> dict:
    """Show the version with microversions."""
    return _version(request, "v2.1")


# -- helpers -------------------------------------------------------------------------------------------------------


def _version(request: Request, id: str, links: int = 2) -> dict[str, t.Any]:
    """A version's document; `links` of the addresses: itself, the documentation."""
    low, high = (f"{major}.{minor}" for major, minor in (api.low, api.high))
    new = id == "v2.1"
    addresses = [
        {"rel": "self", "href": f"{request.base}/{'v2.1' if new else 'v2'}/"},
        {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
    ]
    return {
        "id": id, "status": "CURRENT" if new else "DEPRECATED", "version": high if new else "",
        "min_version": low if new else "", "updated": "2013-07-23T11:33:21Z" if new else "2011-01-21T11:33:21Z",
        "links": addresses[:links],
        "media-types": [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={'2.1' if new else '2'}"}],
    }  # fmt: skip
