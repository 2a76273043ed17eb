"""The compute services API: which are up, and whether new servers may go to their hosts."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from .. import placement
from ..kernel import clock, ids
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Query, Request, UnsetType, View, since
from . import ADMIN, api
from .aggregates import aggregate_hosts, zones_of_hosts
from .hosts import COMPUTE, compute_hosts, compute_services, is_up, zone_of
from .servers.tables import servers
from .wire import INT_MAX, PRINTABLE, Truth, truth

# -- wire ----------------------------------------------------------------------------------------------------------

HostName = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
Reason = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=PRINTABLE)]


class ServiceNamed(Body):
    host: HostName
    binary: t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class ServiceDisabled(ServiceNamed):
    disabled_reason: Reason


class ServiceForced(ServiceNamed):
    forced_down: Truth


class ServiceUpdate(Body):
    status: t.Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Truth | UnsetType = UNSET


class ServiceQuery(Query):
    host: str | None = None
    binary: str | None = None


class Service(View):
    id: int | str
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    forced_down: t.Annotated[bool, since("2.11")]


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-services:list", ADMIN, "List services.")
UPDATE = api.rule("os_compute_api:os-services:update", ADMIN, "Enable, disable or force down a service.")
DELETE = api.rule("os_compute_api:os-services:delete", ADMIN, "Delete a service.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-services", policy=LIST, reply="services")
def index(tx: Tx, request: Request, query: ServiceQuery) -> list[Service]:
    """List services."""
    where = {name: value for name in ("host", "binary") if (value := getattr(query, name))}
    zones = zones_of_hosts(tx)
    return [_view(request, row, zones) for row in tx.rows(compute_services, order=compute_services.c.number, **where)]


@api.op("PUT", "/os-services/enable", policy=UPDATE, reply="service", last="2.52", errors=(400, 404))
def enable(tx: Tx, request: Request, body: ServiceNamed) -> dict:
    """Let new servers go to a service's host."""
    return _changed(tx, body, {"status": "enabled"}, disabled=False, disabled_reason=None)


@api.op("PUT", "/os-services/disable", policy=UPDATE, reply="service", last="2.52", errors=(400, 404))
def disable(tx: Tx, request: Request, body: ServiceNamed) -> dict:
    """Keep new servers from a service's host."""
    return _changed(tx, body, {"status": "disabled"}, disabled=True, disabled_reason=None)


@api.op("PUT", "/os-services/disable-log-reason", policy=UPDATE, reply="service", last="2.52", errors=(400, 404))
def disable_log_reason(tx: Tx, request: Request, body: ServiceDisabled) -> dict:
    """Keep new servers from a service's host, and say why."""
    said = {"status": "disabled", "disabled_reason": body.disabled_reason}
    return _changed(tx, body, said, disabled=True, disabled_reason=body.disabled_reason)


@api.op("PUT", "/os-services/force-down", policy=UPDATE, reply="service", first="2.11", last="2.52", errors=(400, 404))
def force_down(tx: Tx, request: Request, body: ServiceForced) -> dict:
    """Declare a service down, or not any more."""
    forced = truth(body.forced_down)
    return _changed(tx, body, {"forced_down": forced}, forced_down=forced)


@api.op("PUT", "/os-services/{id}", policy=UPDATE, reply="service", first="2.53", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: ServiceUpdate) -> Service:
    """Enable, disable or force down a service."""
    row = _find(tx, request, id)
    if row.binary != COMPUTE:
        raise BadRequest(f"Updating a {row.binary} service is not supported. Only nova-compute services can be updated.")
    if body.disabled_reason is not UNSET and body.status != "disabled":
        raise BadRequest("Specifying disabled_reason requires that status is disabled.")
    values: dict[str, t.Any] = {}
    if body.status is not UNSET:
        values = {"disabled": body.status == "disabled", "disabled_reason": body.disabled_reason or None}
    if body.forced_down is not UNSET:
        values["forced_down"] = truth(body.forced_down)
    if not values:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    tx.update(compute_services, row.id, **values)
    return _view(request, _find(tx, request, id), zones_of_hosts(tx))


@api.op("DELETE", "/os-services/{id}", policy=DELETE, status=204, errors=(400, 404, 409))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a service, with its host's hypervisor, resource provider and places in aggregates; it must have no servers."""
    row = _find(tx, request, id)
    if row.binary == COMPUTE:
        if tx.first(sa.select(servers.c.id).where(servers.c.host == row.host)):
            raise Conflict("Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
        tx.delete(aggregate_hosts, host=row.host)
        for host in tx.rows(compute_hosts, host=row.host):
            placement.forget_provider(tx, host.id)
        tx.delete(compute_hosts, host=row.host)
    tx.delete(compute_services, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    if request.version >= (2, 53):
        if not ids.is_uuid(id):
            raise BadRequest(f"Invalid uuid {id}")
        row = tx.get(compute_services, id=id)
    else:
        if not id.isdecimal() or len(id) > 10:
            raise BadRequest(f"Invalid input received: id must be an integer: {id}")
        row = tx.get(compute_services, number=int(id)) if int(id) <= INT_MAX else None
    if row is None:
        raise NotFound(f"Service {id} not found.")
    return row


def _changed(tx: Tx, body: ServiceNamed, said: dict[str, t.Any], **values: t.Any) -> dict:
    if body.binary != COMPUTE:
        raise BadRequest(f"Updating a {body.binary} service is not supported. Only nova-compute services can be updated.")
    if not tx.update(compute_services, {"host": body.host, "binary": body.binary}, **values):
        raise NotFound(f"Could not find binary {body.binary} on host {body.host}.")
    return {"host": body.host, "binary": body.binary} | said


def _view(request: Request, row: Row, zones: t.Mapping[str, str]) -> Service:
    return Service(
        id=row.id if request.version >= (2, 53) else row.number, binary=row.binary, host=row.host,
        zone=zone_of(row, zones), status="disabled" if row.disabled else "enabled",
        state="up" if is_up(row) else "down", updated_at=clock.iso(row.last_seen, micro=True, zone=""),
        disabled_reason=row.disabled_reason, forced_down=row.forced_down,
    )  # fmt: skip
