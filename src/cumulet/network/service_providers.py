"""Service providers: what a cloud has to choose from for its advanced services."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import Request, View
from .service import api


class ServiceProvider(View, kw_only=True):
    service_type: str
    name: str
    default: bool


PROVIDERS = [ServiceProvider(service_type="L3_ROUTER_NAT", name="single_node", default=True)]
"""Routers on one host each: the drivers have no other kind."""

GET = api.rule("get_service_provider", "role:reader", "List the service providers.")


@api.op("GET", "/service-providers", policy=GET, reply="service_providers")
def index(tx: Tx, request: Request) -> list[ServiceProvider]:
    """List the service providers."""
    return PROVIDERS
