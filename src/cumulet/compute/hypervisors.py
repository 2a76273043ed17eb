"""Hypervisors: the compute hosts as administrators see them, with what they have and what is used of it."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import msgspec
import sqlalchemy as sa

from .. import placement
from ..kernel import clock, ids
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, NotFound, Page, Query, Request, UnsetType, View, paged, since, until
from . import ADMIN, api
from .hosts import compute_hosts, compute_services, is_up
from .servers.tables import servers
from .wire import INT_MAX

# -- wire ----------------------------------------------------------------------------------------------------------

Old = t.Annotated[int, until("2.87")]


class HypervisorQuery(Query):
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None
    hypervisor_hostname_pattern: str | None = None
    with_servers: bool = False


class HypervisorService(View):
    id: int | str
    host: str
    disabled_reason: str | None


class Brief(View):
    id: int | str
    hypervisor_hostname: str
    state: str
    status: str
    servers: list[dict] | UnsetType = UNSET


class Hypervisor(Brief, kw_only=True):
    service: HypervisorService
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    uptime: t.Annotated[str | None, since("2.88")]
    cpu_info: t.Annotated[dict | str, until("2.87")]
    vcpus: Old
    vcpus_used: Old
    memory_mb: Old
    memory_mb_used: Old
    free_ram_mb: Old
    local_gb: Old
    local_gb_used: Old
    free_disk_gb: Old
    disk_available_least: Old
    current_workload: Old
    running_vms: Old


# -- policy --------------------------------------------------------------------------------------------------------


def _rule(name: str, description: str) -> str:
    return api.rule(f"os_compute_api:os-hypervisors:{name}", ADMIN, description)


LIST = _rule("list", "List hypervisors.")
DETAIL = _rule("list-detail", "List hypervisors in detail.")
STATISTICS = _rule("statistics", "Show sums over all hypervisors.")
SHOW = _rule("show", "Show a hypervisor.")
UPTIME = _rule("uptime", "Show how long a hypervisor is up.")
SEARCH = _rule("search", "Find hypervisors by name.")
SERVERS = _rule("servers", "List the servers of hypervisors.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-hypervisors", policy=LIST, reply="hypervisors", errors=(400, 404))
def index(tx: Tx, request: Request, query: HypervisorQuery) -> Page[Brief]:
    """List hypervisors."""
    return _listed(tx, request, query, _Shown.brief)


@api.op("GET", "/os-hypervisors/detail", policy=DETAIL, reply="hypervisors", errors=(400, 404))
def detail(tx: Tx, request: Request, query: HypervisorQuery) -> Page[Hypervisor]:
    """List hypervisors in detail."""
    return _listed(tx, request, query, _Shown.whole)


@api.op("GET", "/os-hypervisors/statistics", policy=STATISTICS, reply="hypervisor_statistics", last="2.87")
def statistics(tx: Tx, request: Request) -> dict[str, int]:
    """Show sums over all hypervisors that are not disabled."""
    rows = tx.rows(compute_hosts)
    shown = _Shown(tx, request, rows)
    whole = [shown.whole(row) for row in rows if not shown.services[row.service_id].disabled]
    return {"count": len(whole)} | {
        name: sum(getattr(one, name) for one in whole)
        for name in ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb", "local_gb_used",
                     "free_disk_gb", "disk_available_least", "current_workload", "running_vms")
    }  # fmt: skip


@api.op("GET", "/os-hypervisors/{id}", policy=SHOW, reply="hypervisor", errors=(400, 404))
def show(tx: Tx, request: Request, id: str, query: HypervisorQuery) -> Hypervisor:
    """Show a hypervisor."""
    row = _find(tx, request, id)
    shown = _Shown(tx, request, [row])
    return shown.whole(row, servers=shown.servers_of(row) if _with_servers(request, query) else UNSET)


@api.op("GET", "/os-hypervisors/{id}/uptime", policy=UPTIME, reply="hypervisor", last="2.87", errors=(400, 404, 501))
def uptime(tx: Tx, request: Request, id: str) -> dict:
    """Show how long a hypervisor is up."""
    row = _find(tx, request, id)
    if row.boot_time is None:
        raise BadRequest(f"Compute host {row.host} has not said since when it is up.")
    return msgspec.to_builtins(_Shown(tx, request, [row]).brief(row)) | {"uptime": _uptime(row)}


@api.op("GET", "/os-hypervisors/{pattern}/search", policy=SEARCH, reply="hypervisors", last="2.52", errors=(404,))
def search(tx: Tx, request: Request, pattern: str) -> list[Brief]:
    """Find hypervisors with a text in their name."""
    rows = _matching(tx, pattern)
    shown = _Shown(tx, request, rows)
    return [shown.brief(row) for row in rows]


@api.op("GET", "/os-hypervisors/{pattern}/servers", policy=SERVERS, reply="hypervisors", last="2.52", errors=(404,))
def list_servers(tx: Tx, request: Request, pattern: str) -> list[Brief]:
    """List the servers of the hypervisors with a text in their name."""
    rows = _matching(tx, pattern)
    shown = _Shown(tx, request, rows)
    return [shown.brief(row, servers=shown.servers_of(row) or UNSET) for row in rows]


# -- helpers -------------------------------------------------------------------------------------------------------


def _listed(tx: Tx, request: Request, query: HypervisorQuery, view: t.Callable[..., Brief]) -> Page:
    marker = None
    if query.hypervisor_hostname_pattern is not None and request.version >= (2, 53):
        if query.limit is not None or query.marker is not None:
            raise BadRequest("Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.")
        rows = _matching(tx, query.hypervisor_hostname_pattern)
    elif request.version >= (2, 33):
        after = _marker(tx, request, query.marker)
        rows, marker = paged(tx, sa.select(compute_hosts), compute_hosts, order=[("number", "asc")], limit=query.limit, marker=after)
        marker = marker and (marker if request.version >= (2, 53) else str(rows[-1].number))
    else:
        rows = tx.rows(compute_hosts, order=compute_hosts.c.number)
    shown = _Shown(tx, request, rows)
    wanted = _with_servers(request, query)
    return Page([view(shown, row, servers=shown.servers_of(row) if wanted else UNSET) for row in rows], marker)


def _with_servers(request: Request, query: HypervisorQuery) -> bool:
    return query.with_servers and request.version >= (2, 53)


def _find(tx: Tx, request: Request, id: str) -> Row:
    row = None
    if request.version >= (2, 53):
        if not ids.is_uuid(id):
            raise BadRequest(f"Invalid uuid {id}")
        row = tx.get(compute_hosts, id=id)
    elif id.isdecimal() and len(id) <= 10 and int(id) <= INT_MAX:
        row = tx.get(compute_hosts, number=int(id))
    if row is None:
        raise NotFound(f"Hypervisor with ID '{id}' could not be found.")
    return row


def _marker(tx: Tx, request: Request, marker: str | None) -> str | None:
    if marker is None or request.version >= (2, 53):
        return marker
    row = tx.get(compute_hosts, number=int(marker)) if marker.isdecimal() and len(marker) <= 10 and int(marker) <= INT_MAX else None
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    return row.id


def _matching(tx: Tx, pattern: str) -> list[Row]:
    name = compute_hosts.c.hypervisor_hostname
    clause = name.contains(pattern, autoescape=True) if "\x00" not in pattern else sa.false()
    rows = tx.all(sa.select(compute_hosts).where(clause).order_by(compute_hosts.c.number))
    if not rows:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return rows


class _Shown:
    """What the views of some hypervisors need, read once."""

    def __init__(self, tx: Tx, request: Request, rows: list[Row]):
        self._request = request
        self.services = {row.id: row for row in tx.rows(compute_services)}
        self._providers = {provider.id: provider for provider in placement.providers(tx, [row.id for row in rows])}
        self._servers: dict[str, list[Row]] = {}
        columns = (servers.c.id, servers.c.name, servers.c.host, servers.c.task_state)
        for row in tx.all(sa.select(*columns).where(servers.c.host.in_([row.host for row in rows]))):
            self._servers.setdefault(row.host, []).append(row)

    def servers_of(self, row: Row) -> list[dict]:
        return [{"uuid": server.id, "name": server.name} for server in self._servers.get(row.host, [])]

    def brief(self, row: Row, **more: t.Any) -> Brief:
        return Brief(**self._common(row), **more)

    def whole(self, row: Row, **more: t.Any) -> Hypervisor:
        service, provider = self.services[row.service_id], self._providers[row.id]
        vcpus, memory, disk = (provider.used.get(name, 0) for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
        if inventory := provider.inventories.get("MEMORY_MB"):
            memory += inventory.reserved
        here = self._servers.get(row.host, [])
        return Hypervisor(
            service=HypervisorService(id=self._id(service), host=row.host, disabled_reason=service.disabled_reason),
            hypervisor_type=row.hypervisor_type, hypervisor_version=row.hypervisor_version, host_ip=row.host_ip,
            uptime=_uptime(row), cpu_info=row.cpu_info if self._request.version >= (2, 28) else json.dumps(row.cpu_info),
            vcpus=row.vcpus, vcpus_used=vcpus, memory_mb=row.memory_mib, memory_mb_used=memory,
            free_ram_mb=row.memory_mib - memory, local_gb=row.disk_gib, local_gb_used=disk, free_disk_gb=row.disk_gib - disk,
            disk_available_least=row.disk_gib - disk, current_workload=sum(1 for one in here if one.task_state),
            running_vms=len(here), **self._common(row), **more,
        )  # fmt: skip

    def _common(self, row: Row) -> dict[str, t.Any]:
        service = self.services[row.service_id]
        return {
            "id": self._id(row), "hypervisor_hostname": row.hypervisor_hostname,
            "state": "up" if is_up(service) else "down", "status": "disabled" if service.disabled else "enabled",
        }  # fmt: skip

    def _id(self, row: Row) -> int | str:
        return row.id if self._request.version >= (2, 53) else row.number


def _uptime(row: Row) -> str | None:
    """In the form of the `uptime` command, as far as it goes: the time of day, then days, hours and minutes."""
    if row.boot_time is None:
        return None
    now = clock.now()
    past = now.replace(tzinfo=dt.UTC).timestamp() - row.boot_time
    days, rest = divmod(int(max(past, 0)), 86400)
    return f" {now:%H:%M:%S} up {days} days, {rest // 3600:2d}:{rest % 3600 // 60:02d}"
