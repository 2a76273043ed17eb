"""Floating IPs: addresses of external networks that a router passes on to one fixed address of a port."""

from __future__ import annotations

import sqlalchemy as sa

from .. import network as service
from ..kernel.db import Once, Row, Tx, table
from ..kernel.http import UNSET, BadRequest, Conflict, NotFound, Page, Reply, Request, UnsetType, View
from . import ipam, quotas
from .bodies import Attributes, Id, Ip, Json, ProjectId, Text, answer, one, one_or_many
from .networks import before_delete, find_network
from .ports.addresses import of_ports
from .ports.operations import find_port
from .ports.rows import drop, insert, when_dropped, when_readdressed
from .resource import attribute_rules, change, check_revision, find, listed, own, owner, remove, revise, standard_view, tags_of, target
from .routers.rows import GATEWAY, INTERFACE, routers
from .service import MEMBER, READER, api
from .tables import fixed_ips, ports, standard, subnets
from .tags import taggable

# -- table ---------------------------------------------------------------------------------------------------------

floatingips = table(
    "floatingips",
    *standard(),
    sa.Column("floating_network_id", sa.String(64), sa.ForeignKey("networks.id"), nullable=False, index=True),
    sa.Column("floating_ip_address", sa.String(64), nullable=False, index=True),
    sa.Column("floating_port_id", sa.String(64), sa.ForeignKey("ports.id"), nullable=False),
    sa.Column("port_id", sa.String(64), sa.ForeignKey("ports.id"), index=True),
    sa.Column("fixed_ip_address", sa.String(64)),
    sa.Column("router_id", sa.String(64), sa.ForeignKey("routers.id"), index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    once=(Once(("port_id", "fixed_ip_address", "floating_network_id"), (
        "Port {port_id} has a floating IP for fixed IP {fixed_ip_address} already.", "FloatingIPPortAlreadyAssociated",
    )),),
)  # fmt: skip
"""`floating_port_id` is the port on the external network that holds the address; `port_id`, `fixed_ip_address` and
`router_id`, all three or none, are whom it is passed on to, and by which router. `name` is always empty."""

quotas.counted("floatingip", floatingips, 50)

OWNER = "network:floatingip"
DOWN = "DOWN"
NOBODY: Json = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": DOWN}

# -- wire ----------------------------------------------------------------------------------------------------------


class FloatingIpUpdate(Attributes, kw_only=True):
    port_id: Id | None | UnsetType = UNSET
    fixed_ip_address: Ip | None | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    qos_policy_id: None | UnsetType = UNSET


class FloatingIpCreate(FloatingIpUpdate, kw_only=True):
    floating_network_id: Id
    floating_ip_address: Ip | None | UnsetType = UNSET
    subnet_id: Id | None | UnsetType = UNSET
    dns_name: Text = ""
    dns_domain: Text = ""
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class PortDetails(View):
    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str


class FloatingIp(View, kw_only=True):
    id: str
    tenant_id: str
    project_id: str
    description: str
    floating_network_id: str
    floating_ip_address: str
    port_id: str | None
    fixed_ip_address: str | None
    router_id: str | None
    status: str
    port_details: PortDetails | None
    port_forwardings: list[Json] = []
    qos_policy_id: None = None
    dns_name: str
    dns_domain: str
    revision_number: int
    created_at: str
    updated_at: str
    tags: list[str]


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_floatingip", MEMBER, "Create a floating IP.")
GET = api.rule("get_floatingip", READER, "Show a floating IP.")
UPDATE = api.rule("update_floatingip", MEMBER, "Change what a floating IP is passed on to.")
DELETE = api.rule("delete_floatingip", MEMBER, "Delete a floating IP.")
api.rule(
    "create_floatingip:floating_ip_address", "(rule:admin_only) or (role:manager and project_id:%(project_id)s)",
    "Choose a floating IP's address.",
)  # fmt: skip

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/floatingips", policy=CREATE, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, FloatingIp | list[FloatingIp]]]:
    """Create a floating IP, or several."""
    rows = [make(tx, request, wanted) for wanted in one_or_many(body, "floatingip", "floatingips", FloatingIpCreate)]
    return Reply(answer(body, "floatingip", "floatingips", _views(tx, rows)))


@api.op("GET", "/floatingips", policy=GET, reply="floatingips")
def index(tx: Tx, request: Request) -> Page[FloatingIp]:
    """List the project's floating IPs."""
    return listed(tx, request, floatingips, "floatingips", lambda rows: _views(tx, rows), visible=own(request.context, floatingips))


@api.op("GET", "/floatingips/{id}", policy=GET, reply="floatingip", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> FloatingIp:
    """Show a floating IP."""
    return _views(tx, [_find(tx, request, id)])[0]


@api.op("PUT", "/floatingips/{id}", policy=UPDATE, reply="floatingip", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> FloatingIp:
    """Pass a floating IP on to another port or address, or (with a null port_id) to none."""
    row = _find(tx, request, id)
    request.enforce(UPDATE, target(row))
    given = one(body, "floatingip", FloatingIpUpdate).given()
    given.pop("qos_policy_id", None)
    if "port_id" in given or given.get("fixed_ip_address"):
        given |= _passed_on(tx, request, row, given.get("port_id"), given.get("fixed_ip_address") or None)
        _apply(tx, request, row.router_id, given["router_id"])
    else:
        given.pop("fixed_ip_address", None)
    return _views(tx, [change(tx, request, floatingips, row, **given)])[0]


@api.op("DELETE", "/floatingips/{id}", policy=DELETE, status=204, errors=(404, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a floating IP."""
    row = _find(tx, request, id)
    request.enforce(DELETE, target(row))
    check_revision(request, row)
    remove(tx, floatingips, id)
    drop(tx, row.floating_port_id)
    _apply(tx, request, row.router_id)


# -- for other resources -------------------------------------------------------------------------------------------


@when_dropped
def disassociate(tx: Tx, port_id: str) -> None:
    """Leave the floating IPs of a port that goes without one."""
    for row in tx.rows(floatingips, port_id=port_id):
        revise(tx, floatingips, row, **NOBODY)


@when_readdressed
def keep(tx: Tx, port_id: str, lost: set[str]) -> None:
    """Raise BadRequest where a floating IP is passed on to an address that its port would lose."""
    f = floatingips.c
    if tx.first(sa.select(f.id).where(f.port_id == port_id, f.fixed_ip_address.in_(lost)).limit(1)):
        raise BadRequest(f"Bad port request: Cannot update the fixed_ips of the port {port_id}, because its original fixed_ip has been "
                         "associated to a floating ip.", kind="BadRequest")  # fmt: skip


@before_delete
def free(tx: Tx, network: Row) -> None:
    """Let go of the network's floating IPs that are passed on to nobody: they do not keep it from going."""
    for row in tx.rows(floatingips, floating_network_id=network.id, port_id=None):
        remove(tx, floatingips, row.id)
        drop(tx, row.floating_port_id)


taggable("floatingips", floatingips, lambda tx, request, id: _find(tx, request, id))

# -- making --------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    return find(tx, floatingips, id, "Floating IP", own(request.context, floatingips))


def make(tx: Tx, request: Request, wanted: FloatingIpCreate) -> Row:
    """A floating IP as asked for. Raises the errors that its creation answers with."""
    given = wanted.given()
    project = owner(request, given)
    network = find_network(tx, request.context, wanted.floating_network_id)
    chosen = {name: given.pop(name) for name in ("floating_ip_address", "subnet_id") if given.get(name)}
    attribute_rules(request, CREATE, chosen, {}, {"project_id": project, "tenant_id": project})
    _check_external(tx, network)
    quotas.check(tx, project, "floatingip")
    port, address = _hold(tx, network, chosen)
    row = tx.insert(
        floatingips, project_id=project, name="", description=given.get("description", ""), floating_network_id=network.id,
        floating_ip_address=address, floating_port_id=port.id, dns_name=wanted.dns_name, dns_domain=wanted.dns_domain, **NOBODY,
    )  # fmt: skip
    tx.update(ports, port.id, device_id=row.id)
    values = _passed_on(tx, request, row, given.get("port_id") or None, given.get("fixed_ip_address") or None)
    tx.update(floatingips, row.id, **values, updated_at=None)
    tx.nudge("network")
    return tx.one(floatingips, id=row.id)


def _check_external(tx: Tx, network: Row) -> None:
    if not network.external:
        raise bad(f"Network {network.id} is not a valid external network")
    if tx.first(sa.select(subnets.c.id).where(subnets.c.network_id == network.id, subnets.c.ip_version == 4)) is None:
        raise bad(f"Network {network.id} does not contain any IPv4 subnet")


def _hold(tx: Tx, network: Row, chosen: dict[str, str]) -> tuple[Row, str]:
    """A port on the external network, and the IPv4 address that it holds. Raises BadRequest, Conflict."""
    asked = {"subnet_id": chosen.get("subnet_id"), "ip_address": chosen.get("floating_ip_address")}
    port = insert(tx, network.id, "", fixed_ips=[asked] if chosen else None, device_id="PENDING", device_owner=OWNER, status="N/A")
    address = next((ip.address for ip in of_ports(tx, [port.id])[port.id] if ipam.address(ip.address).version == 4), None)
    if address is None:
        raise BadRequest(f"Unable to find any IP address on external network {network.id}.", kind="ExternalIpAddressExhausted")
    return port, address


# -- passing on ----------------------------------------------------------------------------------------------------


def _passed_on(tx: Tx, request: Request, row: Row, port_id: str | None, address: str | None) -> Json:
    """The columns of a floating IP that goes to a port from now on, or to none. Raises BadRequest, NotFound, Conflict."""
    if port_id is None:
        if address:
            raise bad("fixed_ip_address cannot be specified without a port_id")
        return dict(NOBODY)
    port = find_port(tx, request.context, port_id)
    if port.project_id != row.project_id and not request.context.is_admin:
        raise bad(f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different project")
    if port.device_owner.startswith("network:"):
        raise bad(f"Port {port_id} is unable to be assigned a floating IP")
    fixed = _fixed(port_id, of_ports(tx, [port_id])[port_id], address)
    router_id = _router(tx, row, port_id, fixed.subnet_id)
    _check_free(tx, row, port_id, fixed.address)
    same = (row.port_id, row.fixed_ip_address, row.router_id) == (port_id, fixed.address, router_id)
    return {"port_id": port_id, "fixed_ip_address": fixed.address, "router_id": router_id, "status": row.status if same else DOWN}


def _apply(tx: Tx, request: Request, *router_ids: str | None) -> None:
    """Have the routers' hosts know before the request is answered: whoever connects to the address next is to reach whom it
    is passed on to by then, and not somebody whose end of the connection is about to vanish."""
    tx.nudge("network")
    hosts = {row.host for row in tx.all(sa.select(routers.c.host).where(routers.c.id.in_(filter(None, router_ids)), routers.c.host != ""))}
    for host in hosts:
        request.before_answer(lambda host=host: service.realize(request.runtime, host))


def _fixed(port_id: str, held: list[Row], wanted: str | None) -> Row:
    """Which of a port's addresses is meant."""
    if wanted is None:
        held = [row for row in held if ipam.address(row.address).version == 4]
        if not held:
            raise bad(f"Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses")
        if len(held) > 1:
            raise bad(f"Port {port_id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a "
                      "floating IP")  # fmt: skip
        return held[0]
    try:
        address = ipam.address(wanted)
    except ipam.Problem as problem:
        raise BadRequest(f"Invalid input for fixed_ip_address. Reason: {problem.message}.", kind="HTTPBadRequest") from None
    if address.version != 4:
        raise bad(f"Cannot process floating IP association with {address}, since that is not an IPv4 address")
    found = next((row for row in held if row.address == str(address)), None)
    if found is None:
        raise bad(f"Port {port_id} does not have fixed ip {address}")
    return found


def _router(tx: Tx, row: Row, port_id: str, subnet_id: str) -> str:
    """The router between a subnet and the floating IP's network; of several, the one that is the subnet's gateway."""
    outside = sa.select(ports.c.device_id).where(ports.c.network_id == row.floating_network_id, ports.c.device_owner == GATEWAY)
    legs = (
        sa.select(ports.c.device_id).join(fixed_ips, fixed_ips.c.port_id == ports.c.id).join(subnets, subnets.c.id == fixed_ips.c.subnet_id)
        .where(subnets.c.id == subnet_id, ports.c.device_owner == INTERFACE, ports.c.device_id.in_(outside))
        .order_by((fixed_ips.c.address == subnets.c.gateway_ip).desc(), ports.c.created_at)
    )  # fmt: skip
    found = tx.first(legs)
    if found is None:
        raise NotFound(
            f"External network {row.floating_network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate "
            f"Port {port_id} with a Floating IP.", kind="ExternalGatewayForFloatingIPNotFound",
        )  # fmt: skip
    return found.device_id


def _check_free(tx: Tx, row: Row, port_id: str, address: str) -> None:
    other = tx.get(floatingips, port_id=port_id, fixed_ip_address=address, floating_network_id=row.floating_network_id)
    if other is not None and other.id != row.id:
        raise Conflict(
            f"Cannot associate floating IP {row.floating_ip_address} ({row.id}) with port {port_id} using fixed IP {address}, as "
            f"that fixed IP already has a floating IP on external network {row.floating_network_id}.",
            kind="FloatingIPPortAlreadyAssociated",
        )


def bad(text: str) -> BadRequest:
    """A refusal in the words of the real service."""
    return BadRequest(f"Bad floatingip request: {text}.", kind="BadRequest")


# -- views ---------------------------------------------------------------------------------------------------------


def _views(tx: Tx, rows: list[Row]) -> list[FloatingIp]:
    tagged = tags_of(tx, rows)
    behind = {port.id: port for port in tx.all(sa.select(ports).where(ports.c.id.in_([row.port_id for row in rows if row.port_id])))}
    return [_view(row, tagged[row.id], behind.get(row.port_id)) for row in rows]


def _view(row: Row, tagged: list[str], port: Row | None) -> FloatingIp:
    same = ("floating_network_id", "floating_ip_address", "port_id", "fixed_ip_address", "router_id", "status", "dns_name", "dns_domain")
    common = standard_view(row, tagged)
    del common["name"]
    details = None if port is None else PortDetails(**{name: getattr(port, name) for name in PortDetails.__struct_fields__})
    return FloatingIp(**common, **{name: getattr(row, name) for name in same}, port_details=details)
