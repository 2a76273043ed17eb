"""Discovery: the API's one version, and the collections that it has."""

from __future__ import annotations

import typing as t

from ..kernel.db import Tx
from ..kernel.http import Request
from .bodies import Json
from .service import api

OTHER = {"extensions", "quotas", "agents", "availability_zones"}
"""Collections that are no resources of projects."""


@api.op("GET", "", policy=None, reply="versions")
def versions(tx: Tx, request: Request) -> list[Json]:
    """List the versions of the API."""
    return [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{request.base}/v2.0/"}]}]


@api.op("GET", "/v2.0", policy=None, reply="resources")
def resources(tx: Tx, request: Request) -> list[Json]:
    """List the collections of version 2.0."""
    return [
        {"links": [{"rel": "self", "href": f"{request.base}/v2.0/{name}"}], "name": _singular(name), "collection": name}
        for name in _collections()
    ]


def _collections() -> t.Iterator[str]:
    """What can be listed by a path of one word."""
    paths = {o.path.removeprefix("/") for o in api.operations if o.method == "GET"}
    return iter(sorted(path for path in paths if path and "/" not in path and path not in OTHER and path != "v2.0"))


def _singular(name: str) -> str:
    name = name.replace("-", "_")
    return name[:-3] + "y" if name.endswith("ies") else name.removesuffix("s")
