"""Floating IPs and their pools as the compute API shows them, until 2.35: the network service's."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import Conflict, Forbidden, NotFound, Request, View
from ..network import floatingips as network
from ..network.networks import networks, visible
from ..network.tables import ports
from . import ANY, PROJECT_MEMBER, PROJECT_READER, api

# -- wire ----------------------------------------------------------------------------------------------------------


class PoolWanted(msgspec.Struct):
    pool: t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")] | None = None


class FloatingIp(View):
    id: str
    ip: str
    pool: str
    fixed_ip: str | None
    instance_id: str | None


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-floating-ips:list", PROJECT_READER, "List floating IPs.")
SHOW = api.rule("os_compute_api:os-floating-ips:show", PROJECT_READER, "Show a floating IP.")
CREATE = api.rule("os_compute_api:os-floating-ips:create", PROJECT_MEMBER, "Take a floating IP.")
DELETE = api.rule("os_compute_api:os-floating-ips:delete", PROJECT_MEMBER, "Give a floating IP back.")
POOLS = api.rule("os_compute_api:os-floating-ip-pools", ANY, "List the pools of floating IPs.")
LAST = "2.35"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-floating-ip-pools", policy=POOLS, reply="floating_ip_pools", last=LAST)
def pools(tx: Tx, request: Request) -> list[dict]:
    """List the pools: the external networks that the caller may see."""
    return [{"name": row.name or row.id} for row in _pools(tx, request)]


@api.op("GET", "/os-floating-ips", policy=LIST, reply="floating_ips", last=LAST)
def index(tx: Tx, request: Request) -> list[FloatingIp]:
    """List the project's floating IPs."""
    c = network.floatingips.c
    return _views(tx, tx.all(sa.select(network.floatingips).where(c.project_id == request.context.project_id).order_by(c.created_at)))


@api.op("GET", "/os-floating-ips/{id}", policy=SHOW, reply="floating_ip", last=LAST, errors=(404,))
def show(tx: Tx, request: Request, id: str) -> FloatingIp:
    """Show a floating IP."""
    return _views(tx, [_find(tx, request, id)])[0]


@api.op("POST", "/os-floating-ips", policy=CREATE, reply="floating_ip", last=LAST, errors=(400, 403, 404))
def create(tx: Tx, request: Request, body: PoolWanted | None) -> FloatingIp:
    """Take a floating IP from a pool, or from the first there is."""
    asked = body.pool if body else None
    pool = next((row for row in _pools(tx, request) if asked in (None, row.name, row.id)), None)
    if pool is None:
        raise NotFound(f"Floating IP pool not found: {asked}." if asked else "No more floating IPs available.")
    try:
        made = network.make(tx, request, network.FloatingIpCreate(floating_network_id=pool.id))
    except Conflict as error:
        if error.kind == "OverQuota":
            raise Forbidden(f"IP allocation over quota in pool {pool.name}.") from None
        raise NotFound(f"No more floating IPs in pool {pool.name}.") from None
    return show(tx, request, made.id)


@api.op("DELETE", "/os-floating-ips/{id}", policy=DELETE, status=202, last=LAST, errors=(400, 403, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Give a floating IP back, whatever it is passed on to."""
    _find(tx, request, id)
    network.delete(tx, request, id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _pools(tx: Tx, request: Request) -> list[Row]:
    statement = sa.select(networks).where(visible(request.context), networks.c.external)
    return tx.all(statement.order_by(networks.c.is_default.desc(), networks.c.created_at))


def _find(tx: Tx, request: Request, id: str) -> Row:
    row = tx.get(network.floatingips, id=id)
    if row is None or (row.project_id != request.context.project_id and not request.context.is_admin):
        raise NotFound(f"Floating IP not found for ID {id}")
    return row


def _views(tx: Tx, rows: t.Sequence[Row]) -> list[FloatingIp]:
    of = {row.floating_network_id for row in rows}
    names = {row.id: row.name for row in tx.all(sa.select(networks.c.id, networks.c.name).where(networks.c.id.in_(of)))}
    behind = {row.port_id for row in rows if row.port_id}
    servers = {row.id: row.device_id for row in tx.all(sa.select(ports.c.id, ports.c.device_id).where(ports.c.id.in_(behind)))}
    return [
        FloatingIp(
            id=row.id, ip=row.floating_ip_address, pool=names.get(row.floating_network_id) or row.floating_network_id,
            fixed_ip=row.fixed_ip_address, instance_id=servers.get(row.port_id),
        )
        for row in rows
    ]  # fmt: skip
