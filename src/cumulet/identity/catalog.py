"""The catalog: every enabled service with its endpoints, as tokens and clients see it."""

from __future__ import annotations

import secrets

import msgspec
import sqlalchemy as sa

from ..kernel.db import Tx
from .endpoints import endpoints, url_for
from .project_endpoint_groups import project_endpoint_groups
from .project_endpoints import of_project, project_endpoints
from .services import services
from .state import Latest, State

CATALOGS = 1_000
"""How many are kept at once, where projects have one each."""
_PROJECT, _USER = secrets.token_hex(16), secrets.token_hex(16)


def catalog_of(tx: Tx, held: State, project_id: str | None, user_id: str | None) -> msgspec.Raw:
    """The catalog for a caller, as JSON. An endpoint whose URL needs a project is left out for who has none. For a project
    that is associated with endpoints, only these are there, and the services that have any of them."""
    written = held.offered.get(tx, Offered).written(tx, project_id, user_id is not None)
    for mark, id in ((_PROJECT, project_id), (_USER, user_id)):
        if id is not None:
            written = written.replace(mark.encode(), msgspec.json.encode(id)[1:-1])
    return msgspec.Raw(written)


def endpoint_url(tx: Tx, type: str, region: str, interface: str, *, project_id: str | None) -> str | None:
    """Where a project finds a service in a region, whose name's case means nothing; None where it does not."""
    for service in Offered(tx).made(tx, project_id, project_id, None):
        for endpoint in service["endpoints"] if service["type"] == type else ():
            if endpoint["interface"] == interface and endpoint["region_id"].lower() == region.lower():
                return endpoint["url"]
    return None


class Offered:
    """What all catalogs are made of. They differ by callers' ids alone, but where any project is associated with endpoints: so they are
    kept written, with marks in place of the ids."""

    def __init__(self, tx: Tx):
        self._services = tx.all(sa.select(services).where(services.c.enabled).order_by(services.c.type, services.c.id))
        self._endpoints = tx.all(sa.select(endpoints).where(endpoints.c.enabled).order_by(endpoints.c.region_id, endpoints.c.interface))
        self._associated = any(tx.first(sa.select(table).limit(1)) for table in (project_endpoints, project_endpoint_groups))
        self._written: Latest[tuple[str | bool, bool], bytes] = Latest(CATALOGS)

    def written(self, tx: Tx, project_id: str | None, for_user: bool) -> bytes:
        """A catalog as JSON, with `_PROJECT` for the project's id, and `_USER` for the user's."""
        form = (project_id if project_id and self._associated else project_id is not None, for_user)
        found = self._written.get(form)
        if found is None:
            marks = _PROJECT if project_id is not None else None, _USER if for_user else None
            found = msgspec.json.encode(self.made(tx, project_id, *marks))
            self._written.put(form, found)
        return found

    def made(self, tx: Tx, project_id: str | None, project: str | None, user: str | None) -> list[dict]:
        """The catalog for a project, with what URLs are to have for it and for the user."""
        wanted = {row.id for row in of_project(tx, project_id)} if project_id and self._associated else set()
        found: dict[str, dict] = {}
        for row in self._services:
            found[row.id] = {"id": row.id, "type": row.type, "name": row.name or "", "endpoints": []}
        for row in self._endpoints:
            url = url_for(row.url, project, user)
            if url is not None and row.service_id in found and (not wanted or row.id in wanted):
                entry = {"id": row.id, "interface": row.interface, "region": row.region_id, "region_id": row.region_id, "url": url}
                found[row.service_id]["endpoints"].append(row.extra | entry)
        return [service for service in found.values() if service["endpoints"] or not wanted]
