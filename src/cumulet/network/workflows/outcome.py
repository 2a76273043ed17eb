"""What the rows of ports, routers and floating IPs say once a host was brought to its description."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Tx
from ..drivers.base import HostNetwork
from ..floatingips import floatingips
from ..hosts import chunks, network_hosts
from ..routers.rows import routers
from ..tables import ports

ACTIVE, DOWN, ERROR = "ACTIVE", "DOWN", "ERROR"


class Outcome(t.NamedTuple):
    """The statuses of ports and of routers, by id. A floating IP has its router's."""

    ports: dict[str, str]
    routers: dict[str, str]


def outcome(wanted: HostNetwork, failed: t.Mapping[str, str]) -> Outcome:
    """What becomes of a host's ports and routers, where these ids (of ports, networks, groups and routers) failed."""
    found: dict[str, str] = {}
    for port in wanted.ports:
        found[port.id] = _status(port.up, any(id in failed for id in (port.id, port.network_id, *port.groups)))
    for network in wanted.networks:
        if network.dhcp_port:
            found[network.dhcp_port.id] = _status(network.dhcp_port.up, network.id in failed)
    statuses = {}
    for router in wanted.routers:
        statuses[router.id] = ERROR if router.id in failed else ACTIVE
        for leg in router.legs:
            found[leg.port_id] = _status(router.up, router.id in failed or leg.network_id in failed)
    return Outcome(found, statuses)


def record(tx: Tx, wanted: HostNetwork, digest: str, failed: t.Mapping[str, str]) -> None:
    """Write down what came of a description, unless a newer one's outcome is written already."""
    h = network_hosts.c
    mine = network_hosts.update().where(h.host == wanted.host, h.applied_generation < wanted.generation)
    values = {"applied_generation": wanted.generation, "applied_digest": "" if failed else digest, "applied_at": clock.now()}
    if tx.execute(mine.values(**values)).rowcount:
        settle(tx, wanted, outcome(wanted, failed))


def settle(tx: Tx, wanted: HostNetwork, came: Outcome) -> None:
    """Write the statuses that are not so yet; of ports and routers only while they are still on the host."""
    here = {port.id for port in wanted.ports}
    for status in (ACTIVE, DOWN, ERROR):
        ids = [id for id, one in came.ports.items() if one == status]
        _write(tx, ports, [id for id in ids if id in here], status, ports.c.host == wanted.host)
        _write(tx, ports, [id for id in ids if id not in here], status)
        _write(tx, routers, [id for id, one in came.routers.items() if one == status], status, routers.c.host == wanted.host)
    _write_floating(tx, wanted, came)


def _status(up: bool, failed: bool) -> str:
    return ERROR if failed else ACTIVE if up else DOWN


def _write(tx: Tx, table: sa.Table, ids: list[str], status: str, *more: sa.ColumnElement[bool]) -> None:
    """Set a status where it is another; this is the cloud's own doing, so that no revision changes."""
    for some in chunks(ids):
        tx.execute(table.update().where(table.c.id.in_(some), table.c.status != status, *more).values(status=status))


def _write_floating(tx: Tx, wanted: HostNetwork, came: Outcome) -> None:
    """Floating IPs that are passed on to where the description said."""
    f = floatingips.c
    told = {(router.id, ip.floating, ip.fixed) for router in wanted.routers for ip in router.floating_ips}
    changed: dict[str, list[str]] = {}
    for some in chunks(list(came.routers)):
        for row in tx.all(sa.select(f.id, f.router_id, f.floating_ip_address, f.fixed_ip_address, f.status).where(f.router_id.in_(some))):
            status = came.routers[row.router_id]
            if row.status != status and (row.router_id, row.floating_ip_address, row.fixed_ip_address) in told:
                changed.setdefault(status, []).append(row.id)
    for status, ids in changed.items():
        _write(tx, floatingips, ids, status)
