"""Availability zones: names that users choose hosts by. An aggregate with `availability_zone` in its metadata makes one."""

from __future__ import annotations

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import Request, View
from . import ADMIN, ANY, api
from .aggregates import zones_of_hosts
from .hosts import INTERNAL_ZONE, compute_services, is_up, zone_of

# -- wire ----------------------------------------------------------------------------------------------------------


class ZoneState(View):
    available: bool


class Zone(View, rename={"name": "zoneName", "state": "zoneState"}):
    name: str
    state: ZoneState
    hosts: dict | None = None


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-availability-zone:list", ANY, "List availability zones without their hosts.")
DETAIL = api.rule("os_compute_api:os-availability-zone:detail", ADMIN, "List availability zones with their hosts and services.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-availability-zone", policy=LIST, reply="availabilityZoneInfo")
def index(tx: Tx, request: Request) -> list[Zone]:
    """List the availability zones that servers can be in; one is available while a host in it is enabled."""
    return [_view(name, services) for name, services in sorted(_zones(tx).items()) if name != INTERNAL_ZONE]


@api.op("GET", "/os-availability-zone/detail", policy=DETAIL, reply="availabilityZoneInfo")
def detail(tx: Tx, request: Request) -> list[Zone]:
    """List availability zones with the hosts and services in each."""
    return [_view(name, services, hosts=_hosts(services)) for name, services in sorted(_zones(tx).items())]


# -- helpers -------------------------------------------------------------------------------------------------------


def _zones(tx: Tx) -> dict[str, list[Row]]:
    hosts = zones_of_hosts(tx)
    found: dict[str, list[Row]] = {}
    for service in tx.rows(compute_services):
        found.setdefault(zone_of(service, hosts), []).append(service)
    return found


def _view(name: str, services: list[Row], hosts: dict | None = None) -> Zone:
    return Zone(name=name, state=ZoneState(available=any(not service.disabled for service in services)), hosts=hosts)


def _hosts(services: list[Row]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for service in services:
        seen = clock.iso(service.last_seen, micro=True, zone="")
        found.setdefault(service.host, {})[service.binary] = {
            "active": not service.disabled, "available": is_up(service), "updated_at": seen,
        }  # fmt: skip
    return found
