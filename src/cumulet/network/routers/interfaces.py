"""A router's interfaces: its ports on the networks that it joins."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel import ids
from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Conflict, NotFound, Request, View
from ..bodies import Json
from ..floatingips import floatingips
from ..networks import find_network
from ..ports.addresses import assign, of_ports
from ..ports.operations import find_port
from ..ports.rows import drop, insert
from ..resource import revise, target
from ..service import MEMBER, api
from ..subnets import find_subnet
from ..tables import fixed_ips, ports, subnets
from . import routes
from .rows import INTERFACE, attached, bad, check_overlap, find_router


class RouterInterface(View):
    """What was added or removed: `id` is the router's, `subnet_id` the last of `subnet_ids`."""

    id: str
    tenant_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: list[str]


ADD = api.rule("add_router_interface", MEMBER, "Add an interface to a router.")
REMOVE = api.rule("remove_router_interface", MEMBER, "Remove an interface from a router.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("PUT", "/routers/{id}/add_router_interface", policy=ADD, errors=(404, 409))
def add(tx: Tx, request: Request, id: str, body: Json) -> RouterInterface:
    """Put a router on a subnet, at its gateway's address; or on the subnets of a port, which becomes the router's."""
    router = find_router(tx, request.context, id)
    request.enforce(ADD, target(router))
    wanted = _wanted(body)
    if len(wanted) > 1:
        raise bad("Cannot specify both subnet-id and port-id")
    if "port_id" in wanted:
        port, parts = _by_port(tx, request.context, router, wanted["port_id"])
    else:
        port, parts = by_subnet(tx, request.context, router, wanted["subnet_id"])
    tx.nudge("network")
    return _view(router, port, parts)


@api.op("PUT", "/routers/{id}/remove_router_interface", policy=REMOVE, errors=(404, 409))
def remove(tx: Tx, request: Request, id: str, body: Json) -> RouterInterface:
    """Take a router off a subnet, or remove one of its ports."""
    router = find_router(tx, request.context, id)
    request.enforce(REMOVE, target(router))
    wanted = _wanted(body)
    if "port_id" in wanted:
        port, parts = _without_port(tx, router, wanted["port_id"], wanted.get("subnet_id"))
    else:
        port, parts = without_subnet(tx, router, find_subnet(tx, request.context, wanted["subnet_id"]))
    tx.nudge("network")
    return _view(router, port, parts)


# -- adding --------------------------------------------------------------------------------------------------------


def _by_port(tx: Tx, context: Context, router: Row, id: str) -> tuple[Row, list[Row]]:
    port = find_port(tx, context, id)
    if port.device_id:
        raise Conflict(
            f"Unable to complete operation on port {id} for network {port.network_id}. Port already has an attached device "
            f"{port.device_id}.", kind="PortInUse",
        )  # fmt: skip
    parts = _subnets_of(tx, id)
    if not parts:
        raise bad("Router port must have at least one fixed IP")
    if sum(part.ip_version == 4 for part in parts) > 1:
        raise bad("Cannot have multiple IPv4 subnets on router port")
    for part in parts:
        _check_mode(part)
    check_overlap(tx, router.id, parts)
    if any(part.ip_version == 6 for part in parts) and (other := _ipv6_port(tx, router.id, port.network_id)):
        raise bad(f"Router already contains IPv6 port {other} belonging to network id {port.network_id}. Only one IPv6 port from "
                  "the same network subnet can be connected to a router")  # fmt: skip
    return revise(tx, ports, port, device_id=router.id, device_owner=INTERFACE), parts


def by_subnet(tx: Tx, context: Context, router: Row, id: str) -> tuple[Row, list[Row]]:
    """Put a router on a subnet, at its gateway's address; the port, and the subnet in a list. Raises BadRequest, NotFound."""
    subnet = find_subnet(tx, context, id)
    if subnet.gateway_ip is None:
        raise bad("Subnet for router interface must have a gateway IP")
    network = find_network(tx, context, subnet.network_id)
    if not context.is_admin and context.project_id not in (subnet.project_id, network.project_id):
        raise bad(f"Cannot add interface to router because subnet {id} is not owned by project making the request")
    _check_mode(subnet)
    check_overlap(tx, router.id, [subnet])
    address = {"subnet_id": id, "ip_address": subnet.gateway_ip}
    if subnet.ip_version == 6 and (other := _ipv6_port(tx, router.id, subnet.network_id)):
        port = tx.one(ports, id=other)
        assign(tx, port, [*_addresses(tx, port), address])
        return revise(tx, ports, port), [subnet]
    port = insert(tx, subnet.network_id, router.project_id, fixed_ips=[address], device_id=router.id, device_owner=INTERFACE)
    return port, [subnet]


def _check_mode(subnet: Row) -> None:
    if subnet.ip_version == 6 and subnet.ipv6_address_mode and not subnet.ipv6_ra_mode:
        raise bad(f"IPv6 subnet {subnet.id} configured to receive RAs from an external router cannot be added to Neutron Router")


def _ipv6_port(tx: Tx, router_id: str, network_id: str) -> str | None:
    """The router's interface on a network that has IPv6 addresses: further prefixes join them."""
    legs = (leg for leg in attached(tx, router_id) if leg.device_owner == INTERFACE)
    return next((leg.port_id for leg in legs if leg.network_id == network_id and leg.ip_version == 6), None)


# -- removing ------------------------------------------------------------------------------------------------------


def _without_port(tx: Tx, router: Row, id: str, subnet_id: str | None) -> tuple[Row, list[Row]]:
    port = tx.get(ports, id=id, device_id=router.id, device_owner=INTERFACE)
    if port is None:
        raise NotFound(f"Router {router.id} does not have an interface with id {id}", kind="RouterInterfaceNotFound")
    parts = _subnets_of(tx, id)
    if subnet_id and subnet_id not in {part.id for part in parts}:
        raise BadRequest(f"Subnet on port {id} does not match the requested subnet {subnet_id}.", kind="SubnetMismatchForPort")
    for part in parts:
        _check_unused(tx, router, part)
    drop(tx, id)
    return port, parts


def without_subnet(tx: Tx, router: Row, subnet: Row) -> tuple[Row, list[Row]]:
    """Take a router off a subnet; the port that it had there. Raises NotFound, and Conflict where something needs it there."""
    legs = (leg for leg in attached(tx, router.id) if leg.device_owner == INTERFACE and leg.subnet_id == subnet.id)
    leg = next(legs, None)
    if leg is None:
        raise NotFound(f"Router {router.id} has no interface on subnet {subnet.id}", kind="RouterInterfaceNotFoundForSubnet")
    _check_unused(tx, router, subnet)
    port = tx.one(ports, id=leg.port_id)
    rest = [one for one in _addresses(tx, port) if one["subnet_id"] != subnet.id]
    if rest:
        assign(tx, port, rest)
        return revise(tx, ports, port), [subnet]
    drop(tx, port.id)
    return port, [subnet]


def _check_unused(tx: Tx, router: Row, subnet: Row) -> None:
    """Raise Conflict where a floating IP or a route needs the router to be on this subnet."""
    routes.check_leaving(router, subnet)
    f = floatingips.c
    behind = sa.select(f.id).join(fixed_ips, sa.and_(fixed_ips.c.port_id == f.port_id, fixed_ips.c.address == f.fixed_ip_address))
    if tx.first(behind.where(f.router_id == router.id, fixed_ips.c.subnet_id == subnet.id).limit(1)):
        raise Conflict(
            f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required by one or more "
            "floating IPs.", kind="RouterInterfaceInUseByFloatingIP",
        )  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------


def _wanted(body: Json) -> dict[str, str]:
    """What the request names of `port_id` and `subnet_id`. Raises BadRequest."""
    wanted = {name: body[name] for name in ("port_id", "subnet_id") if name in body}
    if not wanted:
        raise bad("Either subnet_id or port_id must be specified")
    for value in wanted.values():
        if not ids.is_uuid(value):
            raise bad(f"'{str(value)[:64]}' is not a valid UUID")
    return wanted


def _subnets_of(tx: Tx, port_id: str) -> list[Row]:
    mine = sa.select(fixed_ips.c.subnet_id).where(fixed_ips.c.port_id == port_id)
    return tx.all(sa.select(subnets).where(subnets.c.id.in_(mine)).order_by(subnets.c.created_at))


def _addresses(tx: Tx, port: Row) -> list[dict]:
    return [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in of_ports(tx, [port.id])[port.id]]


def _view(router: Row, port: Row, parts: list[Row]) -> RouterInterface:
    return RouterInterface(
        id=router.id, tenant_id=port.project_id, project_id=port.project_id, port_id=port.id, network_id=port.network_id,
        subnet_id=parts[-1].id, subnet_ids=[part.id for part in parts],
    )  # fmt: skip
