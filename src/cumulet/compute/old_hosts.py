"""Hosts as the compute API showed them until 2.42: the hosts of services, with sums of what is there and used."""

from __future__ import annotations

import sqlalchemy as sa

from .. import placement
from ..kernel.db import Tx
from ..kernel.http import NotFound, NotImplementedHere, Query, Request
from . import ADMIN, api
from .aggregates import zones_of_hosts
from .hosts import compute_hosts, compute_services, zone_of
from .servers.tables import servers

# -- wire ----------------------------------------------------------------------------------------------------------


class HostQuery(Query):
    zone: str | None = None


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-hosts:list", ADMIN, "List hosts.")
SHOW = api.rule("os_compute_api:os-hosts:show", ADMIN, "Show a host.")
UPDATE = api.rule("os_compute_api:os-hosts:update", ADMIN, "Change a host.")
REBOOT = api.rule("os_compute_api:os-hosts:reboot", ADMIN, "Reboot a host.")
SHUTDOWN = api.rule("os_compute_api:os-hosts:shutdown", ADMIN, "Shut a host down.")
START = api.rule("os_compute_api:os-hosts:start", ADMIN, "Start a host.")
LAST = "2.42"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-hosts", policy=LIST, reply="hosts", last=LAST)
def index(tx: Tx, request: Request, query: HostQuery) -> list[dict]:
    """List the hosts of services that are not disabled."""
    zones = zones_of_hosts(tx)
    found = [
        {"host_name": row.host, "service": row.binary.removeprefix("nova-"), "zone": zone_of(row, zones)}
        for row in tx.rows(compute_services, order=compute_services.c.number, disabled=False)
    ]
    return [one for one in found if query.zone in (None, one["zone"])]


@api.op("GET", "/os-hosts/{name}", policy=SHOW, reply="host", last=LAST, errors=(404,))
def show(tx: Tx, request: Request, name: str) -> list[dict]:
    """Show what a host has, what is used of it, and by which projects."""
    row = tx.get(compute_hosts, host=name)
    if row is None:
        raise NotFound(f"Compute host {name} could not be found.")
    (provider,) = placement.providers(tx, [row.id])
    used = tuple(provider.used.get(kind, 0) for kind in ("VCPU", "MEMORY_MB", "DISK_GB"))
    return [
        _line(name, "(total)", row.vcpus, row.memory_mib, row.disk_gib),
        _line(name, "(used_now)", *used),
        _line(name, "(used_max)", *used),
        *(_line(name, project, *sums) for project, *sums in _by_project(tx, name)),
    ]


@api.op("PUT", "/os-hosts/{name}", policy=UPDATE, last=LAST, errors=(404, 501))
def update(tx: Tx, request: Request, name: str) -> None:
    """Answer that hosts are enabled and disabled by their services."""
    _refuse(tx, name)


@api.op("GET", "/os-hosts/{name}/reboot", policy=REBOOT, last=LAST, errors=(404, 501))
def reboot(tx: Tx, request: Request, name: str) -> None:
    """Answer that this cloud does not reboot hosts."""
    _refuse(tx, name)


@api.op("GET", "/os-hosts/{name}/shutdown", policy=SHUTDOWN, last=LAST, errors=(404, 501))
def shutdown(tx: Tx, request: Request, name: str) -> None:
    """Answer that this cloud does not shut hosts down."""
    _refuse(tx, name)


@api.op("GET", "/os-hosts/{name}/startup", policy=START, last=LAST, errors=(404, 501))
def startup(tx: Tx, request: Request, name: str) -> None:
    """Answer that this cloud does not start hosts."""
    _refuse(tx, name)


# -- helpers -------------------------------------------------------------------------------------------------------


def _refuse(tx: Tx, name: str) -> None:
    if tx.get(compute_hosts, host=name) is None:
        raise NotFound(f"Compute host {name} could not be found.")
    raise NotImplementedHere("The requested functionality is not supported: no hypervisor driver of this cloud has it.")


def _line(host: str, project: str, cpu: int, memory: int, disk: int) -> dict:
    return {"resource": {"host": host, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}}


def _by_project(tx: Tx, host: str) -> list[tuple[str, int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    columns = (servers.c.project_id, servers.c.vcpus, servers.c.memory_mib, servers.c.flavor)
    for row in tx.all(sa.select(*columns).where(servers.c.host == host)):
        cpu, memory, disk = sums.get(row.project_id, (0, 0, 0))
        more = row.flavor["disk"] + row.flavor["ephemeral"]
        sums[row.project_id] = (cpu + row.vcpus, memory + row.memory_mib, disk + more)
    return [(project, *of) for project, of in sorted(sums.items())]
