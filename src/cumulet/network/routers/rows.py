"""The rows of routers, and the ports that are their interfaces and gateways."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx, table
from ...kernel.http import BadRequest
from .. import ipam, quotas
from ..resource import find, own
from ..tables import fixed_ips, ports, standard, subnets

routers = table(
    "routers",
    *standard(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("enable_snat", sa.Boolean, nullable=False),
    sa.Column("routes", sa.JSON, nullable=False),
    sa.Column("availability_zone_hints", sa.JSON, nullable=False),
    sa.Column("distributed", sa.Boolean, nullable=False),
    sa.Column("host", sa.String(255), index=True),
)
"""`host` is where the router lives: "" until a host is there for it, null while an administrator keeps it from all. `routes`
are {"destination", "nexthop"} pairs. `distributed` is what an administrator asked for: every router of these drivers lives on
one host, whichever it says."""

quotas.counted("router", routers, 10)

INTERFACE, GATEWAY = "network:router_interface", "network:router_gateway"
"""What a router's ports are to it, as `device_owner` says it."""


def find_router(tx: Tx, context: Context, id: str) -> Row:
    """The router's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, routers, id, "Router", own(context, routers))


def gateways(tx: Tx, router_ids: t.Sequence[str]) -> dict[str, Row]:
    """The gateway ports of those of the routers that have one, by the routers' ids."""
    wanted = sa.select(ports).where(ports.c.device_id.in_(router_ids), ports.c.device_owner == GATEWAY)
    return {port.device_id: port for port in tx.all(wanted)}


def attached(tx: Tx, router_id: str) -> list[Row]:
    """The addresses of the router's ports, with each one's subnet: `address`, `port_id`, `device_owner`, and the subnet's
    `subnet_id`, `cidr`, `network_id`, `ip_version`."""
    s = subnets.c
    columns = (fixed_ips.c.address, fixed_ips.c.port_id, ports.c.device_owner, s.id.label("subnet_id"), s.cidr, s.network_id, s.ip_version)
    mine = sa.select(*columns).join(ports, ports.c.id == fixed_ips.c.port_id).join(subnets, s.id == fixed_ips.c.subnet_id)
    return tx.all(mine.where(ports.c.device_id == router_id, ports.c.device_owner.in_((INTERFACE, GATEWAY))).order_by(s.id))


def check_overlap(tx: Tx, router_id: str, new: t.Sequence[Row]) -> None:
    """Raise BadRequest where the router is on one of these subnets already, or on another with the same addresses.
    Of its gateway's network every subnet counts."""
    present = attached(tx, router_id)
    held = {row.subnet_id: row.cidr for row in present}
    for subnet in new:
        if subnet.id in held:
            raise bad(f"Router already has a port on subnet {subnet.id}")
    outside = {row.network_id for row in present if row.device_owner == GATEWAY}
    held |= {row.id: row.cidr for row in tx.all(sa.select(subnets).where(subnets.c.network_id.in_(outside)))}
    for subnet in new:
        net = ipam.network(subnet.cidr)
        for id, cidr in held.items():
            if id != subnet.id and net.overlaps(ipam.network(cidr)):
                raise bad(f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {cidr} of subnet {id}")


def bad(text: str) -> BadRequest:
    """A refusal in the words of the real service."""
    return BadRequest(f"Bad router request: {text}.", kind="BadRequest")
