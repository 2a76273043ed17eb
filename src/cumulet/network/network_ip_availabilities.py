"""IP availabilities: how many addresses networks and their subnets have to give, and how many ports have taken."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import Page, Request, View
from . import ipam
from .networks import find_network
from .resource import Clause, listed, typed
from .service import ADMIN, api
from .tables import allocation_pools, fixed_ips, networks, subnets

# -- wire ----------------------------------------------------------------------------------------------------------


class SubnetAvailability(View, kw_only=True):
    subnet_id: str
    subnet_name: str
    ip_version: int
    cidr: str
    total_ips: int
    used_ips: int


class Availability(View, kw_only=True):
    network_id: str
    network_name: str
    tenant_id: str
    project_id: str
    total_ips: int
    used_ips: int
    subnet_ip_availability: list[SubnetAvailability]


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_network_ip_availability", f"{ADMIN} or rule:service_api", "Show how many addresses of networks are in use.")

# -- operations ----------------------------------------------------------------------------------------------------

COLUMNS = {"network_id": "id", "network_name": "name"}


@api.op("GET", "/network-ip-availabilities", policy=GET, reply="network_ip_availabilities")
def index(tx: Tx, request: Request) -> Page[Availability]:
    """List how many addresses each network has and how many are in use; of one IP version, if `ip_version` says which."""
    versions = [typed(subnets.c.ip_version, name, value) for name, value in request.query if name == "ip_version"]
    return listed(tx, request, networks, "network_ip_availabilities", lambda rows: _views(tx, rows, versions or [4, 6]), visible=sa.true(),
                  columns=COLUMNS, special={"ip_version": lambda values: _of_version(versions)})  # fmt: skip


@api.op("GET", "/network-ip-availabilities/{id}", policy=GET, reply="network_ip_availability", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Availability:
    """Show how many addresses a network has and how many are in use."""
    return _views(tx, [find_network(tx, request.context, id)], [4, 6])[0]


# -- helpers -------------------------------------------------------------------------------------------------------


def _of_version(versions: list[int]) -> Clause:
    return networks.c.id.in_(sa.select(subnets.c.network_id).where(subnets.c.ip_version.in_(versions)))


def _views(tx: Tx, rows: list[Row], versions: list[int]) -> list[Availability]:
    parts = _subnets(tx, [row.id for row in rows], versions)
    return [
        Availability(
            network_id=row.id, network_name=row.name, tenant_id=row.project_id, project_id=row.project_id,
            total_ips=sum(part.total_ips for part in parts[row.id]), used_ips=sum(part.used_ips for part in parts[row.id]),
            subnet_ip_availability=parts[row.id],
        ) for row in rows
    ]  # fmt: skip


def _subnets(tx: Tx, network_ids: list[str], versions: list[int]) -> dict[str, list[SubnetAvailability]]:
    """The subnets of these networks; three queries for any number."""
    within = sa.and_(subnets.c.network_id.in_(network_ids), subnets.c.ip_version.in_(versions))
    ids = sa.select(subnets.c.id).where(within)
    counted = sa.select(fixed_ips.c.subnet_id, sa.func.count()).where(fixed_ips.c.subnet_id.in_(ids)).group_by(fixed_ips.c.subnet_id)
    used: dict[str, int] = {id: count for id, count in tx.all(counted)}
    pools: dict[str, list[ipam.Pool]] = {}
    for pool in tx.all(sa.select(allocation_pools).where(allocation_pools.c.subnet_id.in_(ids))):
        pools.setdefault(pool.subnet_id, []).append(ipam.pool(pool.first, pool.last))
    found: dict[str, list[SubnetAvailability]] = {id: [] for id in network_ids}
    for row in tx.all(sa.select(subnets).where(within).order_by(subnets.c.created_at, subnets.c.id)):
        found[row.network_id].append(SubnetAvailability(
            subnet_id=row.id, subnet_name=row.name, ip_version=row.ip_version, cidr=row.cidr, used_ips=used.get(row.id, 0),
            total_ips=ipam.size(pools[row.id]) if row.id in pools else ipam.network(row.cidr).num_addresses,
        ))  # fmt: skip
    return found
