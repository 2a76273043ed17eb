"""Making and removing ports, by clients and by the cloud itself (routers, floating IPs, DHCP)."""

from __future__ import annotations

import random
import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from .. import ipam
from ..resource import remove
from ..tables import port_security_groups, ports
from .addresses import assign, of_ports

_choose = random.SystemRandom()

DEFAULTS: dict[str, t.Any] = {
    "name": "", "description": "", "admin_state_up": True, "status": "DOWN", "device_id": "", "device_owner": "",
    "host": "", "vnic_type": "normal", "profile": {}, "port_security_enabled": False, "allowed_address_pairs": [],
    "extra_dhcp_opts": [], "propagate_uplink_status": True, "dns_name": "", "dns_domain": "",
}  # fmt: skip


WhenDropped = t.Callable[[Tx, str], None]
WHEN_DROPPED: list[WhenDropped] = []


def when_dropped(fn: WhenDropped) -> WhenDropped:
    """Have a function called with a port's id before the port goes: for what refers to ports and is no part of them."""
    WHEN_DROPPED.append(fn)
    return fn


WhenReaddressed = t.Callable[[Tx, str, set[str]], None]
WHEN_READDRESSED: list[WhenReaddressed] = []


def when_readdressed(fn: WhenReaddressed) -> WhenReaddressed:
    """Have a function called with a port's id and the addresses that the port has lost: it raises where they are needed."""
    WHEN_READDRESSED.append(fn)
    return fn


def insert(tx: Tx, network_id: str, project_id: str, *, fixed_ips: list[dict] | None = None,
           groups: t.Iterable[str] = (), mac: str | None = None, **values: t.Any) -> Row:  # fmt: skip
    """Add a port with its addresses and security groups; quotas and policy are the caller's matter.

    fixed_ips: as `addresses.assign` takes them. values: more columns. Raises BadRequest, Conflict.
    """
    port = tx.insert(
        ports,
        **DEFAULTS | values,
        network_id=network_id,
        project_id=project_id,
        mac_address=mac or free_mac(tx, network_id),
    )
    assign(tx, port, fixed_ips)
    set_groups(tx, port.id, groups)
    tx.nudge("network")
    return port


def readdress(tx: Tx, port: Row, asked: list[dict] | None) -> None:
    """`assign` to a port that may be in use. Raises what it raises, and what those do who need an address that goes."""
    before = {one.address for one in of_ports(tx, [port.id])[port.id]}
    assign(tx, port, asked)
    lost = before - {one.address for one in of_ports(tx, [port.id])[port.id]}
    for fn in WHEN_READDRESSED if lost else ():
        fn(tx, port.id, lost)


def drop(tx: Tx, port_id: str) -> None:
    """Remove a port with its addresses, whatever uses it."""
    for fn in WHEN_DROPPED:
        fn(tx, port_id)
    remove(tx, ports, port_id)
    tx.nudge("network")


def set_groups(tx: Tx, port_id: str, groups: t.Iterable[str]) -> None:
    """Put a port into exactly these security groups."""
    tx.delete(port_security_groups, port_id=port_id)
    tx.insert_many(port_security_groups, [{"port_id": port_id, "security_group_id": id} for id in dict.fromkeys(groups)])


def groups_of(tx: Tx, ids: t.Sequence[str]) -> dict[str, list[str]]:
    """The security groups of these ports."""
    found: dict[str, list[str]] = {id: [] for id in ids}
    c = port_security_groups.c
    for row in tx.all(sa.select(c.port_id, c.security_group_id).where(c.port_id.in_(list(ids)))) if found else ():
        found[row.port_id].append(row.security_group_id)
    return found


def free_mac(tx: Tx, network_id: str) -> str:
    while True:
        mac = ipam.new_mac(_choose)
        if tx.get(ports, network_id=network_id, mac_address=mac) is None:
            return mac
