"""Passing a floating IP on to a server, and ending that; until 2.43."""

from __future__ import annotations

import typing as t

import msgspec

from ... import network
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Request, UnsetType
from ...network import floatingips as service
from .. import PROJECT_MEMBER, api
from ..workflows.tell import TellServer
from .find import find, target

Address = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class AddFloatingIp(Body):
    address: Address
    fixed_address: Address | UnsetType = UNSET


class RemoveFloatingIp(Body):
    address: Address


ADD = api.rule("os_compute_api:os-floating-ips:add", PROJECT_MEMBER, "Pass a floating IP on to a server.")
REMOVE = api.rule("os_compute_api:os-floating-ips:remove", PROJECT_MEMBER, "No longer pass a floating IP on to a server.")

ACTION, LAST = "/servers/{id}/action", "2.43"


@api.op("POST", ACTION, action="addFloatingIp", policy=ADD, target=target, status=202, last=LAST, errors=(400, 403, 404, 409))
def add(tx: Tx, request: Request, id: str, body: AddFloatingIp) -> None:
    """Pass a floating IP on to a server's fixed address: the one named, or its first."""
    row = find(tx, request, id)
    fixed = [(card.port_id, ip.address) for card in network.interfaces(tx, [id])[id] for ip in card.addresses if ip.version == 4]
    if not fixed:
        raise BadRequest("No fixed IPs associated to instance")
    port, address = fixed[0]
    if body.fixed_address:
        port, address = next(((p, a) for p, a in fixed if a == body.fixed_address), ("", ""))
        if not port:
            raise BadRequest("Specified fixed address not assigned to instance")
    floating = _floating(tx, row, body.address)
    try:
        service.update(tx, request, floating.id, {"floatingip": {"port_id": port, "fixed_ip_address": address}})
    except (Conflict, NotFound) as error:
        raise BadRequest(
            f"Unable to associate floating IP {body.address} to fixed IP {address} for instance {id}. Error: {error.message}"
        ) from None
    TellServer.start(tx, id, request_id=request.id)


@api.op("POST", ACTION, action="removeFloatingIp", policy=REMOVE, target=target, status=202, last=LAST, errors=(400, 403, 404, 409))
def remove(tx: Tx, request: Request, id: str, body: RemoveFloatingIp) -> None:
    """No longer pass a floating IP on to a server."""
    row = find(tx, request, id)
    floating = _floating(tx, row, body.address)
    if floating.port_id not in {card.port_id for card in network.interfaces(tx, [id])[id]}:
        raise Conflict(f"Floating IP {body.address} is not associated with instance {id}.")
    service.update(tx, request, floating.id, {"floatingip": {"port_id": None}})
    TellServer.start(tx, id, request_id=request.id)


def _floating(tx: Tx, row: Row, address: str) -> Row:
    """The floating IP of this address in the server's project. Raises NotFound."""
    found = tx.rows(service.floatingips, floating_ip_address=address, project_id=row.project_id)
    if not found:
        raise NotFound("floating IP not found")
    return found[0]
