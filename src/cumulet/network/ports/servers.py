"""Ports as compute uses them: made or claimed for a server, bound to its host, given back. All but a claim may be repeated."""

from __future__ import annotations

from ...kernel.db import Row, Tx
from ...kernel.http import Conflict, Forbidden, NotFound
from .. import quotas
from ..networks import visible_to
from ..resource import revise
from ..security_groups import default_security_group
from ..sharing import shared_with
from ..tables import networks, ports
from .rows import drop, insert

OWNER = "compute:nova"


def allocate_port(tx: Tx, *, project_id: str, network_id: str, device_id: str, device_owner: str = OWNER,
                  name: str = "", security_groups: list[str] | None = None,
                  fixed_ip: str | None = None) -> Row:  # fmt: skip
    """A new port for a server, not bound yet. It counts against the project's quota of ports.

    security_groups: ids, checked by the caller; None: the project's default group. fixed_ip: an address that it
    must have. A network without port security gives a port without groups.
    Raises NotFound for a network that the project cannot see, Forbidden for one that is external and not shared with it,
    Conflict (quota, addresses), BadRequest.
    """
    network = tx.first(networks.select().where(networks.c.id == network_id, visible_to(project_id)))
    if network is None:
        raise NotFound(f"Network {network_id} could not be found.", kind="NetworkNotFound")
    if network.external and network.project_id != project_id and not shared_with(tx, "network", [network_id], project_id):
        raise Forbidden(f"It is not allowed to create an interface on external network {network_id}")
    quotas.check(tx, project_id, "port")
    secured = network.port_security_enabled
    groups = [default_security_group(tx, project_id).id] if security_groups is None and secured else security_groups or []
    return insert(
        tx, network_id, project_id, fixed_ips=[{"ip_address": fixed_ip}] if fixed_ip else None,
        groups=groups if secured else [], name=name, device_id=device_id, device_owner=device_owner,
        port_security_enabled=secured,
    )  # fmt: skip


def claim_port(tx: Tx, port_id: str, project_id: str | None, device_id: str, device_owner: str = OWNER) -> Row:
    """Give a port that exists to a server. project_id: whose it must be; None: anybody's.
    Raises NotFound, and Conflict (`PortInUse`) where a device has it, be it this one."""
    row = _find(tx, port_id)
    if project_id is not None and row.project_id != project_id:
        raise _missing(port_id)
    if row.device_id:
        raise Conflict(
            f"Unable to complete operation on port {port_id} for network {row.network_id}. Port already has an "
            f"attached device {row.device_id}.", kind="PortInUse",
        )  # fmt: skip
    return revise(tx, ports, row, device_id=device_id, device_owner=device_owner)


def bind_port(tx: Tx, port_id: str, host: str, device_id: str, device_owner: str = OWNER) -> Row:
    """Put a port on a host. It becomes ACTIVE when that host has made it. Raises NotFound."""
    row = _find(tx, port_id)
    status = row.status if row.host == host else "DOWN"
    tx.nudge("network")
    return revise(tx, ports, row, host=host, device_id=device_id, device_owner=device_owner, status=status)


def unbind_port(tx: Tx, port_id: str) -> None:
    """Take a port from its host; its server keeps it. A port that is gone is no error."""
    row = tx.get(ports, id=port_id)
    if row is not None:
        revise(tx, ports, row, host="", status="DOWN")
        tx.nudge("network")


def release_port(tx: Tx, port_id: str, delete: bool) -> None:
    """Take a port from its server. delete: remove it (it was made for the server), or leave it free for another.
    A port that is gone is no error."""
    row = tx.get(ports, id=port_id)
    if row is None:
        return
    if delete:
        drop(tx, port_id)
        return
    revise(tx, ports, row, host="", status="DOWN", device_id="", device_owner="")
    tx.nudge("network")


def _find(tx: Tx, port_id: str) -> Row:
    row = tx.get(ports, id=port_id)
    if row is None:
        raise _missing(port_id)
    return row


def _missing(port_id: str) -> NotFound:
    return NotFound(f"Port {port_id} could not be found.", kind="PortNotFound")
