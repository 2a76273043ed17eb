"""The port from which a network's DHCP, DNS and metadata answer. It is made with the first subnet that has DHCP, so
that its address never changes, and goes with the last."""

from __future__ import annotations

from ...kernel.db import Row, Tx
from ..networks import DHCP_OWNER
from ..tables import fixed_ips, ports
from .addresses import add_from
from .rows import drop, insert


def dhcp_port(tx: Tx, network_id: str) -> Row | None:
    """The network's DHCP port, None where no subnet of it has DHCP."""
    return next(iter(tx.rows(ports, network_id=network_id, device_owner=DHCP_OWNER)), None)


def serve(tx: Tx, network: Row, subnet: Row) -> None:
    """Have the network's DHCP answer on this subnet too. A subnet without a free address goes without DHCP."""
    port = dhcp_port(tx, network.id)
    if port is None:
        device = {"device_id": f"dhcp{network.id}", "device_owner": DHCP_OWNER}
        port = insert(tx, network.id, network.project_id, fixed_ips=[], **device)
    if not add_from(tx, port, subnet):
        _drop_if_idle(tx, port)


def unserve(tx: Tx, network_id: str, subnet_id: str) -> None:
    """Stop DHCP on a subnet."""
    port = dhcp_port(tx, network_id)
    if port is not None:
        tx.delete(fixed_ips, port_id=port.id, subnet_id=subnet_id)
        _drop_if_idle(tx, port)


def _drop_if_idle(tx: Tx, port: Row) -> None:
    if not tx.rows(fixed_ips, port_id=port.id):
        drop(tx, port.id)
