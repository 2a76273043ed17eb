"""The catalog: every enabled service with its endpoints, as tokens and clients see it."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from . import epoch
from .endpoints import endpoints, url_for
from .project_endpoint_groups import project_endpoint_groups
from .project_endpoints import of_project, project_endpoints
from .services import services
from .state import State


def catalog_of(tx: Tx, held: State, project_id: str | None, user_id: str | None) -> msgspec.Raw:
    """The catalog for a caller, as JSON. An endpoint whose URL needs a project is left out for who has none. For a project
    that is associated with endpoints, only these are there, and the services that have any of them."""
    at, whose = epoch.current(tx, epoch.CATALOG), (project_id, user_id)
    kept = held.catalogs.get(whose)
    if kept is None or kept[0] != at:
        kept = at, msgspec.Raw(msgspec.json.encode(_made(tx, held.offered.get(tx, _offered), project_id, user_id)))
        held.catalogs.put(whose, kept)
    return kept[1]


def endpoint_url(tx: Tx, type: str, region: str, interface: str, *, project_id: str | None) -> str | None:
    """Where a project finds a service in a region, whose name's case means nothing; None where it does not."""
    for service in _made(tx, _offered(tx), project_id, None):
        for endpoint in service["endpoints"] if service["type"] == type else ():
            if endpoint["interface"] == interface and endpoint["region_id"].lower() == region.lower():
                return endpoint["url"]
    return None


class Offered(t.NamedTuple):
    """What all catalogs are made of. `associated`: whether there is a project that is associated with endpoints."""

    services: list[Row]
    endpoints: list[Row]
    associated: bool


def _offered(tx: Tx) -> Offered:
    return Offered(
        tx.all(sa.select(services).where(services.c.enabled).order_by(services.c.type, services.c.id)),
        tx.all(sa.select(endpoints).where(endpoints.c.enabled).order_by(endpoints.c.region_id, endpoints.c.interface)),
        any(tx.first(sa.select(table).limit(1)) for table in (project_endpoints, project_endpoint_groups)),
    )


def _made(tx: Tx, offered: Offered, project_id: str | None, user_id: str | None) -> list[dict]:
    wanted = {row.id for row in of_project(tx, project_id)} if project_id and offered.associated else set()
    found: dict[str, dict] = {}
    for row in offered.services:
        found[row.id] = {"id": row.id, "type": row.type, "name": row.name or "", "endpoints": []}
    for row in offered.endpoints:
        url = url_for(row.url, project_id, user_id)
        if url is not None and row.service_id in found and (not wanted or row.id in wanted):
            entry = {"id": row.id, "interface": row.interface, "region": row.region_id, "region_id": row.region_id, "url": url}
            found[row.service_id]["endpoints"].append(row.extra | entry)
    return [service for service in found.values() if service["endpoints"] or not wanted]
