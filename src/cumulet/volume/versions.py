"""Which versions of the API there are."""

from __future__ import annotations

from ..kernel.http import Request, View
from . import api


class Versions(View):
    versions: list[dict]


@api.op("GET", "/v3", policy=None)
async def discover_v3(request: Request) -> Versions:
    """Show version 3."""
    return _versions(request)


@api.op("GET", "", policy=None, status=300)
async def discover(request: Request) -> Versions:
    """List the API's versions, as a choice."""
    return _versions(request)


def _versions(request: Request) -> Versions:
    return Versions(versions=[{
        "id": "v3.0", "status": "CURRENT", "version": "{}.{}".format(*api.high), "min_version": "{}.{}".format(*api.low),
        "updated": "2023-08-31T00:00:00Z",
        "links": [{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
                  {"rel": "self", "href": f"{request.base}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }])  # fmt: skip
