"""The services of block storage, as operators see them: `os-services`, `os-hosts`, `os-availability-zone`, the storage pools
and what they can. A host that keeps volumes is one `cinder-volume`."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Query, Request, View, since
from . import ADMIN, ANYBODY, api
from .hosts import BACKEND, alive, capabilities
from .tables import backends, snapshots, volumes
from .views import host_name, plain_host
from .wire import Name, moment, truth, wire

VOLUME, CONTROL = "cinder-volume", ("cinder-scheduler", "cinder-backup")
ZONE = "nova"

INDEX = api.rule("volume_extension:services:index", ADMIN, "List services.")
UPDATE = api.rule("volume_extension:services:update", ADMIN, "Enable and disable services.")
FREEZE = api.rule("volume:freeze_host", ADMIN, "Freeze a back end.")
THAW = api.rule("volume:thaw_host", ADMIN, "Thaw a back end.")
HOSTS = api.rule("volume_extension:hosts", ADMIN, "See the hosts and what they keep.")
POOLS = api.rule("scheduler_extension:scheduler_stats:get_pools", ADMIN, "List storage pools.")
CAPABILITIES = api.rule("volume_extension:capabilities", ADMIN, "Show what a back end can.")

# -- wire ----------------------------------------------------------------------------------------------------------


class Service(View):
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    cluster: t.Annotated[str | None, since("3.7")] = None
    backend_state: t.Annotated[str, since("3.49")] = "up"


class ServiceQuery(Query):
    host: str | None = None
    binary: str | None = None


class Which(Body):
    host: Name
    binary: Name | None = None
    service: Name | None = None


class WithReason(Which, kw_only=True):
    disabled_reason: Name


class HostOnly(Body):
    host: Name


class HostView(View):
    host_name: str
    service: str
    zone: str
    service_status: str = wire("service-status")
    service_state: str = wire("service-state")
    last_update: str | None = wire("last-update")


class PoolQuery(Query):
    detail: str | None = None
    name: str | None = None
    volume_type: str | None = None


# -- services ------------------------------------------------------------------------------------------------------


@api.op("GET", "/os-services", policy=INDEX, reply="services")
def index(tx: Tx, request: Request, query: ServiceQuery) -> list[Service]:
    """List the services of block storage."""
    return [one for one in _services(tx) if query.host in (None, one.host, plain_host(one.host)) and query.binary in (None, one.binary)]


@api.op("PUT", "/os-services/enable", policy=UPDATE, errors=(400, 404))
def enable(tx: Tx, request: Request, body: Which) -> dict:
    """Let a host keep new volumes."""
    return _switch(tx, body, disabled=False, reason=None) | {"disabled_reason": None}


@api.op("PUT", "/os-services/disable", policy=UPDATE, errors=(400, 404))
def disable(tx: Tx, request: Request, body: Which) -> dict:
    """Let a host keep no new volumes."""
    return _switch(tx, body, disabled=True, reason=None)


@api.op("PUT", "/os-services/disable-log-reason", policy=UPDATE, errors=(400, 404))
def disable_with_reason(tx: Tx, request: Request, body: WithReason) -> dict:
    """Let a host keep no new volumes, and say why."""
    return _switch(tx, body, disabled=True, reason=body.disabled_reason) | {"disabled_reason": body.disabled_reason}


@api.op("PUT", "/os-services/freeze", policy=FREEZE, errors=(400,))
def freeze(tx: Tx, request: Request, body: HostOnly) -> None:
    """Let a host keep no new volumes."""
    tx.update(backends, _backend(tx, body.host, BadRequest).id, disabled=True, disabled_reason="frozen")


@api.op("PUT", "/os-services/thaw", policy=THAW, errors=(400,))
def thaw(tx: Tx, request: Request, body: HostOnly) -> None:
    """Let a host keep new volumes again."""
    tx.update(backends, _backend(tx, body.host, BadRequest).id, disabled=False, disabled_reason=None)


# -- hosts ---------------------------------------------------------------------------------------------------------


@api.op("GET", "/os-hosts", policy=HOSTS, reply="hosts")
def hosts(tx: Tx, request: Request) -> list[HostView]:
    """List the hosts of services."""
    return [HostView(
        host_name=one.host, service=one.binary, zone=ZONE, service_status="available" if one.state == "up" else "unavailable",
        service_state=one.status, last_update=one.updated_at,
    ) for one in _services(tx)]  # fmt: skip


@api.op("GET", "/os-hosts/{name}", policy=HOSTS, reply="host", errors=(404,))
def show_host(tx: Tx, request: Request, name: str) -> list[dict]:
    """Show what a host keeps, in all and for each project."""
    host = _backend(tx, name, NotFound).host
    held = {row.project_id: (row.n, int(row.gib)) for row in tx.all(_held(volumes).where(volumes.c.host == host))}
    taken = _held(snapshots).join_from(snapshots, volumes).where(volumes.c.host == host)
    shot = {row.project_id: (row.n, int(row.gib)) for row in tx.all(taken)}
    total = [_use(name, "(total)", _sum(held), _sum(shot))]
    return total + [_use(name, project, held[project], shot.get(project, (0, 0))) for project in sorted(held)]


@api.op("GET", "/os-availability-zone", policy=ANYBODY, reply="availabilityZoneInfo")
def zones(tx: Tx, request: Request) -> list[dict]:
    """List the availability zones: there is one."""
    return [{"zoneName": ZONE, "zoneState": {"available": any(alive(row) and not row.disabled for row in tx.rows(backends))}}]


# -- pools ---------------------------------------------------------------------------------------------------------


@api.op("GET", "/scheduler-stats/get_pools", policy=POOLS, reply="pools")
def pools(tx: Tx, request: Request, query: PoolQuery) -> list[dict]:
    """List the storage pools: each host has one."""
    rows = [row for row in tx.rows(backends, order=backends.c.host) if query.name in (None, host_name(row.host))]
    if not truth(query.detail):
        return [{"name": host_name(row.host)} for row in rows]
    return [{"name": host_name(row.host), "capabilities": capabilities(row) | {"timestamp": moment(row.last_seen)}} for row in rows]


@api.op("GET", "/capabilities/{name}", policy=CAPABILITIES, errors=(404,))
def show_capabilities(tx: Tx, request: Request, name: str) -> dict:
    """Show what a host's back end can."""
    row = _backend(tx, name, NotFound)
    said = capabilities(row)
    properties = {
        "thin_provisioning": {"title": "Thin Provisioning", "description": "Sets thin provisioning.", "type": "boolean"},
        "multiattach": {"title": "Multiattach", "description": "Lets a volume be attached to several servers.", "type": "boolean"},
    }
    return {
        "namespace": f"OS::Storage::Capabilities::{row.host}@{BACKEND}", "vendor_name": said["vendor_name"], "volume_backend_name": BACKEND,
        "driver_version": said["driver_version"], "storage_protocol": said["storage_protocol"], "pool_name": None, "display_name": None,
        "description": None, "visibility": None, "properties": properties, "replication_targets": [],
    }  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------


def _services(tx: Tx) -> list[Service]:
    found = [Service(
        binary=VOLUME, host=f"{row.host}@{BACKEND}", zone=ZONE, status="disabled" if row.disabled else "enabled",
        state="up" if alive(row) else "down", updated_at=moment(row.last_seen), disabled_reason=row.disabled_reason,
    ) for row in tx.rows(backends, order=backends.c.host)]  # fmt: skip
    now = moment(clock.now())
    return found + [Service(binary=name, host=BACKEND, zone=ZONE, status="enabled", state="up", updated_at=now, disabled_reason=None)
                    for name in CONTROL]  # fmt: skip


def _backend(tx: Tx, name: str, otherwise: type[BadRequest] | type[NotFound]) -> Row:
    row = tx.get(backends, host=plain_host(name))
    if row is None:
        raise otherwise(f"Host {name} could not be found.")
    return row


def _switch(tx: Tx, body: Which, *, disabled: bool, reason: str | None) -> dict:
    binary = body.binary or body.service or ""
    if binary in CONTROL:
        raise BadRequest(f"{binary} is part of the API's own process and cannot be disabled.")
    if binary != VOLUME:
        raise NotFound(f"Service {binary} could not be found on host {body.host}.")
    row = _backend(tx, body.host, NotFound)
    tx.update(backends, row.id, disabled=disabled, disabled_reason=reason)
    return {"host": body.host, "service": binary, "binary": binary, "disabled": disabled, "status": "disabled" if disabled else "enabled"}


def _held(table: sa.Table) -> sa.Select:
    count, size = sa.func.count().label("n"), sa.func.sum(table.c.size).label("gib")
    return sa.select(table.c.project_id, count, size).group_by(table.c.project_id)


def _sum(pairs: dict[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(count for count, _ in pairs.values()), sum(size for _, size in pairs.values())


def _use(host: str, project: str, held: tuple[int, int], shot: tuple[int, int]) -> dict:
    return {"resource": {"host": host, "project": project, "volume_count": str(held[0]), "total_volume_gb": str(held[1]),
                         "snapshot_count": str(shot[0]), "total_snapshot_gb": str(shot[1])}}  # fmt: skip
