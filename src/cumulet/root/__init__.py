"""What is at the top of the port: the list of services, the OpenAPI document, metrics, health."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from ..kernel import metrics
from ..kernel.db import Tx
from ..kernel.http import Api, Dialect, Request, Unavailable, View
from ..kernel.http.openapi import document

api = Api("root", prefix="", dialect=Dialect())


class Service(View):
    name: str
    url: str


class Services(View):
    services: list[Service]
    openapi: str
    metrics: str


class Health(View):
    status: str


@api.op("GET", "/", policy=None)
async def index(request: Request) -> Services:
    """The services of this cloud and where they are."""
    found = [Service(name=a.service, url=request.root + a.prefix) for a in request.runtime.apis.values() if a.prefix]
    return Services(services=found, openapi=f"{request.root}/openapi.json", metrics=f"{request.root}/metrics")


@api.op("GET", "/healthz", policy=None)
def health(tx: Tx, request: Request) -> Health:
    """Answers once the database does."""
    return Health(status="ok")


@api.op("GET", "/readyz", policy=None, errors=(503,))
async def ready(request: Request) -> Health:
    """Answers once there are a host and everything that a new cloud is to have."""
    shared = request.runtime.shared
    if not (shared.get("seeded") and shared.get("hosts")):
        raise Unavailable("Starting: no host has reported yet, or the first images are still being added.")
    return Health(status="ok")


@api.op("GET", "/metrics", policy=None)
async def prometheus(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")


@api.op("GET", "/openapi.json", policy=None)
async def openapi(request: Request) -> Response:
    """The OpenAPI 3.1 document of every service."""
    shared = request.runtime.shared
    if "openapi" not in shared:
        shared["openapi"] = msgspec.json.encode(document(request.runtime.apis.values()))
    return Response(shared["openapi"], media_type="application/json")
