"""A server's network cards: `os-interface`."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ... import network
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Request, UnsetType, View, since
from .. import PROJECT_MEMBER, PROJECT_READER, api
from ..workflows.interfaces import AttachInterface, DetachInterface
from .find import find, permit, record, target
from .states import Vm
from .tables import nics

# -- wire ----------------------------------------------------------------------------------------------------------


class FixedIpWanted(Body):
    ip_address: str


class InterfaceCreate(Body):
    net_id: str | UnsetType = UNSET
    port_id: str | UnsetType = UNSET
    fixed_ips: list[FixedIpWanted] | UnsetType = UNSET
    tag: t.Annotated[str | UnsetType, since("2.49")] = UNSET


class InterfaceIp(View):
    subnet_id: str
    ip_address: str


class Interface(View):
    port_state: str
    fixed_ips: list[InterfaceIp]
    port_id: str
    net_id: str
    mac_addr: str
    tag: t.Annotated[str | None, since("2.70")]


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-attach-interfaces:list", PROJECT_READER, "List a server's cards.")
SHOW = api.rule("os_compute_api:os-attach-interfaces:show", PROJECT_READER, "Show a server's card.")
CREATE = api.rule("os_compute_api:os-attach-interfaces:create", PROJECT_MEMBER, "Add a card to a server.")
DELETE = api.rule("os_compute_api:os-attach-interfaces:delete", PROJECT_MEMBER, "Remove a server's card.")

# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/servers/{id}/os-interface"
CHANGEABLE = {Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED}


@api.op("GET", PATH, policy=LIST, target=target, reply="interfaceAttachments", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[Interface]:
    """List a server's cards."""
    find(tx, request, id)
    return _views(tx, id)


@api.op("GET", PATH + "/{port_id}", policy=SHOW, target=target, reply="interfaceAttachment", errors=(404,))
def show(tx: Tx, request: Request, id: str, port_id: str) -> Interface:
    """Show one of a server's cards."""
    find(tx, request, id)
    return _one(tx, id, port_id)


@api.op("POST", PATH, policy=CREATE, target=target, wrap="interfaceAttachment", errors=(400, 404, 409))
def create(tx: Tx, request: Request, id: str, body: InterfaceCreate) -> Interface:
    """Add a card: on a network, with an address that is named or not, or on a port that is there."""
    server = _changeable(tx, request, id, "attach_interface")
    port = _port(tx, request, server, body)
    network.bind_port(tx, port.id, host=server.host, device_id=server.id, device_owner="compute:nova")
    position = (tx.scalar(sa.select(sa.func.max(nics.c.position)).where(nics.c.server_id == id)) or 0) + 1
    tx.insert(nics, server_id=id, position=position, port_id=port.id, tag=body.tag or None, ours=not body.port_id)
    record(tx, request, server, "attach_interface")
    AttachInterface.start(tx, id, request_id=request.id, port=port.id)
    return _one(tx, id, port.id)


@api.op("DELETE", PATH + "/{port_id}", policy=DELETE, target=target, status=202, errors=(404, 409))
def delete(tx: Tx, request: Request, id: str, port_id: str) -> None:
    """Remove a card; its port goes too where it was made for the server."""
    server = _changeable(tx, request, id, "detach_interface")
    if tx.get(nics, server_id=id, port_id=port_id) is None:
        raise NotFound(f"Port id {port_id} not found.")
    record(tx, request, server, "detach_interface")
    DetachInterface.start(tx, id, request_id=request.id, port=port_id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _changeable(tx: Tx, request: Request, id: str, what: str) -> Row:
    server = find(tx, request, id)
    permit(request, server, what, vm=CHANGEABLE)
    return server


def _port(tx: Tx, request: Request, server: Row, body: InterfaceCreate) -> Row:
    if body.port_id and (body.net_id or body.fixed_ips):
        raise BadRequest("Must not input both network_id or fixed_ips and port_id")
    if body.fixed_ips and not body.net_id:
        raise BadRequest("Must input network_id when request IP address")
    if body.port_id:
        return network.claim_port(tx, body.port_id, project_id=server.project_id, device_id=server.id)
    net_id = body.net_id
    if not net_id:
        usable = network.usable_networks(tx, server.project_id)
        if len(usable) != 1:
            raise BadRequest("No network was named, and the project has none or several: name one.") if not usable else Conflict(
                "Multiple possible networks found, use a Network ID to be more specific.")  # fmt: skip
        net_id = usable[0].id
    network.find_network(tx, request.context, net_id)
    return network.allocate_port(
        tx, project_id=server.project_id, network_id=net_id, device_id=server.id, device_owner="compute:nova",
        fixed_ip=body.fixed_ips[0].ip_address if body.fixed_ips else None,
    )  # fmt: skip


def _views(tx: Tx, id: str) -> list[Interface]:
    tags = {row.port_id: row.tag for row in tx.rows(nics, server_id=id)}
    return [
        Interface(
            port_state=card.status, port_id=card.port_id, net_id=card.network_id, mac_addr=card.mac, tag=tags.get(card.port_id),
            fixed_ips=[InterfaceIp(subnet_id=ip.subnet_id, ip_address=ip.address) for ip in card.addresses],
        )
        for card in network.interfaces(tx, [id]).get(id, [])
    ]  # fmt: skip


def _one(tx: Tx, id: str, port_id: str) -> Interface:
    for view in _views(tx, id):
        if view.port_id == port_id:
            return view
    raise NotFound(f"Instance {id} does not have any ports with port_id {port_id}")
