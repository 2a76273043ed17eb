"""Giving a server one more address on a network that it is on, and taking one away; until 2.43."""

from __future__ import annotations

import typing as t

import msgspec

from ... import network
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, Conflict, NotFound, Request
from ...network.floatingips import NOBODY, floatingips
from ...network.ports.addresses import MOST, assign, of_ports
from ...network.resource import revise
from ...network.tables import ports, subnets
from .. import PROJECT_MEMBER, api
from ..workflows.tell import TellServer
from .find import ANY_TASK, find, permit, target
from .views import wire


class AddFixedIp(Body):
    network: t.Annotated[str, msgspec.Meta(min_length=1, max_length=36)] | int = wire("networkId")


class RemoveFixedIp(Body):
    address: t.Annotated[str, msgspec.Meta(max_length=64)]


ADD = api.rule("os_compute_api:os-multinic:add", PROJECT_MEMBER, "Give a server another address.")
REMOVE = api.rule("os_compute_api:os-multinic:remove", PROJECT_MEMBER, "Take an address from a server.")

ACTION, LAST = "/servers/{id}/action", "2.43"


@api.op("POST", ACTION, action="addFixedIp", policy=ADD, target=target, status=202, last=LAST, errors=(400, 404, 409))
def add(tx: Tx, request: Request, id: str, body: AddFixedIp) -> None:
    """Give a server's port on a network one more address there."""
    permit(request, find(tx, request, id), "addFixedIp", tasks=ANY_TASK)
    of_network = network.find_network(tx, request.context, str(body.network))
    port = next((row for row in _ports(tx, id) if row.network_id == of_network.id), None)
    offers = tx.rows(subnets, network_id=of_network.id, order=subnets.c.created_at)
    if port is None or not offers:
        raise NotFound(f"Network could not be found for instance {id}.")
    held = _held(tx, port)
    if len(held) >= MOST:
        raise BadRequest(f"No fixed IP addresses available on port {port.id}: a port may have {MOST}.")
    if not any(_given(tx, port, held, offer.id) for offer in offers):
        raise BadRequest(f"No fixed IP addresses available for network: {of_network.id}")
    _done(tx, request, id, port)


@api.op("POST", ACTION, action="removeFixedIp", policy=REMOVE, target=target, status=202, last=LAST, errors=(400, 404, 409))
def remove(tx: Tx, request: Request, id: str, body: RemoveFixedIp) -> None:
    """Take an address from whichever of a server's ports has it."""
    permit(request, find(tx, request, id), "removeFixedIp", tasks=ANY_TASK)
    for port in _ports(tx, id):
        held = _held(tx, port)
        if any(one["ip_address"] == body.address for one in held):
            for row in tx.rows(floatingips, port_id=port.id, fixed_ip_address=body.address):
                revise(tx, floatingips, row, **NOBODY)
            assign(tx, port, [one for one in held if one["ip_address"] != body.address])
            _done(tx, request, id, port)
            return
    raise BadRequest(f"Instance {id} does not have fixed IP '{body.address}'.")


def _ports(tx: Tx, id: str) -> list[Row]:
    return tx.rows(ports, device_id=id, order=ports.c.created_at)


def _held(tx: Tx, port: Row) -> list[dict]:
    return [{"subnet_id": row.subnet_id, "ip_address": row.address} for row in of_ports(tx, [port.id])[port.id]]


def _given(tx: Tx, port: Row, held: list[dict], subnet_id: str) -> bool:
    """Give a port another address of a subnet; False where that has none to give."""
    try:
        with tx.savepoint():
            assign(tx, port, [*held, {"subnet_id": subnet_id}])
    except Conflict:
        return False
    return len(_held(tx, port)) > len(held)


def _done(tx: Tx, request: Request, id: str, port: Row) -> None:
    revise(tx, ports, port)
    tx.nudge("network")
    TellServer.start(tx, id, request_id=request.id)
