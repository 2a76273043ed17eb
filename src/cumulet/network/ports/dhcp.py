"""The port from which a network's DHCP, DNS and metadata answer. It is made with the first subnet that has DHCP, so
that its address never changes, and goes with the last."""

from __future__ import annotations

from ...kernel.db import Row, Tx
from ..networks import DHCP_OWNER
from ..tables import fixed_ips, ports
from .addresses import add_from
from .rows import drop, insert

RESERVED = "reserved_dhcp_port"
"""The `device_id` of a DHCP port that an administrator took from its host. It keeps its addresses and stays on none until it
is given one."""


def dhcp_port(tx: Tx, network_id: str) -> Row | None:
    """The network's DHCP port, None where no subnet of it has DHCP."""
    return next(iter(tx.rows(ports, network_id=network_id, device_owner=DHCP_OWNER)), None)


def serve(tx: Tx, network: Row, subnet: Row) -> None:
    """Have the network's DHCP answer on this subnet too. A subnet without a free address goes without DHCP."""
    port = dhcp_port(tx, network.id)
    if port is None:
        port = _insert(tx, network)
    if not add_from(tx, port, subnet):
        _drop_if_idle(tx, port)


def unserve(tx: Tx, network_id: str, subnet_id: str) -> None:
    """Stop DHCP on a subnet."""
    port = dhcp_port(tx, network_id)
    if port is not None:
        tx.delete(fixed_ips, port_id=port.id, subnet_id=subnet_id)
        _drop_if_idle(tx, port)


def move(tx: Tx, network: Row, host: str) -> None:
    """Have the network's DHCP answer from this host. A network that has none yet gets its port now, without addresses."""
    port = dhcp_port(tx, network.id) or _insert(tx, network)
    tx.update(ports, port.id, host=host, device_id=_device(network), status="DOWN")
    tx.nudge("network")


def withdraw(tx: Tx, port: Row) -> None:
    """Have a network's DHCP answer from nowhere, until it is given a host again."""
    tx.update(ports, port.id, host="", device_id=RESERVED, status="DOWN")
    tx.nudge("network")
    _drop_if_idle(tx, port)


def _insert(tx: Tx, network: Row) -> Row:
    return insert(tx, network.id, network.project_id, fixed_ips=[], device_id=_device(network), device_owner=DHCP_OWNER)


def _device(network: Row) -> str:
    return f"dhcp{network.id}"


def _drop_if_idle(tx: Tx, port: Row) -> None:
    if not tx.rows(fixed_ips, port_id=port.id):
        drop(tx, port.id)
