"""Which versions of the API there are."""

from __future__ import annotations

from ..kernel.http import Request, View
from . import api

MINORS = (
    "2.17",
    "2.16",
    "2.15",
    "2.14",
    "2.13",
    "2.12",
    "2.11",
    "2.10",
    "2.9",
    "2.8",
    "2.7",
    "2.6",
    "2.5",
    "2.4",
    "2.3",
    "2.2",
    "2.1",
    "2.0",
)


class Version(View):
    id: str
    status: str
    links: list[dict]


class Versions(View):
    versions: list[Version]


def _versions(request: Request) -> Versions:
    links = [{"rel": "self", "href": f"{request.base}/v2/"}]
    return Versions(versions=[
        Version(id=f"v{minor}", status="CURRENT" if minor == MINORS[0] else "SUPPORTED", links=links) for minor in MINORS
    ])  # fmt: skip


@api.op("GET", "", policy=None, status=300)
async def discover(request: Request) -> Versions:
    """List the API's versions, as a choice."""
    return _versions(request)


@api.op("GET", "/versions", policy=None)
async def list_versions(request: Request) -> Versions:
    """List the API's versions."""
    return _versions(request)


@api.op("GET", "/v2", policy=None, status=300)
async def discover_v2(request: Request) -> Versions:
    """List the API's versions."""
    return _versions(request)
