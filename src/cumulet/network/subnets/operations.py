"""The operations on subnets."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Conflict, Page, Reply, Request
from .. import ipam, quotas
from ..bodies import Json, answer, invalid, one, one_or_many
from ..networks import DHCP_OWNER, MTU_IPV6, find_network, mtu_conflict, on_own_network
from ..networks import visible as visible_networks
from ..ports.addresses import ROUTER_OWNERS, add_from, automatic
from ..ports.dhcp import serve, unserve
from ..resource import attribute_rules, change, check_revision, find, listed, own, owner, remove, target
from ..service import ADMIN, MEMBER, NET_OWNER_MEMBER, READER, api
from ..sharing import by_shared
from ..subnetpools import carve
from ..tables import fixed_ips, networks, ports, subnets
from ..tags import taggable
from . import checks
from .wire import Subnet, SubnetCreate, SubnetUpdate, views

quotas.counted("subnet", subnets, 100)

# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_subnet", NET_OWNER_MEMBER, "Create a subnet.")
GET = api.rule("get_subnet", f"{READER} or (role:reader and rule:network_owner) or rule:shared or rule:external", "Show a subnet.")
UPDATE = api.rule("update_subnet", f"{NET_OWNER_MEMBER} or {MEMBER}", "Change a subnet.")
DELETE = api.rule("delete_subnet", f"{NET_OWNER_MEMBER} or {MEMBER}", "Delete a subnet.")

for _verb, _rule in (("Give a new", CREATE), ("Change a", UPDATE)):
    api.rule(f"{_rule}:service_types", ADMIN, f"{_verb} subnet `service_types`.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/subnets", policy=CREATE, target=on_own_network, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Subnet | list[Subnet]]]:
    """Create a subnet, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "subnet", "subnets", SubnetCreate)]
    return Reply(answer(body, "subnet", "subnets", views(tx, rows)))


@api.op("GET", "/subnets", policy=GET, reply="subnets")
def index(tx: Tx, request: Request) -> Page[Subnet]:
    """List the subnets of the networks that the caller sees."""
    shared = by_shared(subnets.c.network_id, "network", request.context.project_id)
    special = {"shared": shared, "router:external": _external}
    return listed(tx, request, subnets, "subnets", lambda rows: views(tx, rows), visible=visible(request.context), special=special)


@api.op("GET", "/subnets/{id}", policy=GET, reply="subnet", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Subnet:
    """Show a subnet."""
    return views(tx, [find_subnet(tx, request.context, id)])[0]


@api.op("PUT", "/subnets/{id}", policy=UPDATE, reply="subnet", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Subnet:
    """Change a subnet."""
    row, network = _for_change(tx, request, id, UPDATE)
    given = one(body, "subnet", SubnetUpdate).given()
    attribute_rules(request, UPDATE, given, {}, target(row, network))
    given.pop("segment_id", None)
    net = ipam.network(row.cidr)
    checks.options(net, given)
    checks.keeps_dhcp(row, given)
    checks.room_for_dhcp(net, bool(given.get("enable_dhcp")) and not row.enable_dhcp)
    gateway = checks.gateway(net, given["gateway_ip"]) if "gateway_ip" in given else row.gateway_ip
    if gateway != row.gateway_ip:
        checks.gateway_unused(tx, row)
    checks.change_pools(tx, row, net, gateway, given.pop("allocation_pools", None))
    changed = change(tx, request, subnets, row, **given | {"gateway_ip": gateway})
    if changed.enable_dhcp and not row.enable_dhcp:
        serve(tx, network, changed)
    elif row.enable_dhcp and not changed.enable_dhcp:
        unserve(tx, network.id, row.id)
    tx.nudge("network")
    return views(tx, [changed])[0]


@api.op("DELETE", "/subnets/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a subnet. Automatic addresses and that of DHCP go with it; others must have gone before."""
    row, network = _for_change(tx, request, id, DELETE)
    check_revision(request, row)
    stays = ports.c.device_owner.in_(ROUTER_OWNERS) if automatic(row) else ports.c.device_owner != DHCP_OWNER
    users = sa.select(ports.c.id).join(fixed_ips).where(fixed_ips.c.subnet_id == row.id, stays)
    if tx.first(users.limit(1)):
        raise Conflict(
            f"Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet.",
            kind="SubnetInUse",
        )
    unserve(tx, network.id, row.id)
    tx.delete(fixed_ips, subnet_id=row.id)
    remove(tx, subnets, row.id)
    tx.nudge("network")


# -- for other resources -------------------------------------------------------------------------------------------


def visible(context: Context) -> sa.ColumnElement[bool]:
    """Which subnets the caller sees: their own, and those of networks they see."""
    seen = sa.select(networks.c.id).where(visible_networks(context))
    return sa.or_(own(context, subnets), subnets.c.network_id.in_(seen))


def find_subnet(tx: Tx, context: Context, id: str) -> Row:
    """The subnet's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, subnets, id, "Subnet", visible(context))


def add_subnet(tx: Tx, context: Context, network: Row, project_id: str, wanted: SubnetCreate) -> Row:
    """A new subnet, with DHCP and automatic addresses in place. Raises BadRequest, NotFound, Conflict."""
    quotas.check(tx, project_id, "subnet")
    net, pool = _prefix(tx, context, wanted, network, project_id)
    given = {name: value for name, value in wanted.given().items() if name not in ("project_id", "tenant_id")}
    checks.modes(wanted, net)
    checks.room_for_dhcp(net, given.get("enable_dhcp", True))
    if net.version == 6 and network.mtu < MTU_IPV6:
        raise mtu_conflict(network)
    checks.options(net, given)
    checks.overlap(tx, network.id, net)
    gateway = ipam.default_gateway(net) if wanted.gateway_ip is UNSET else checks.gateway(net, wanted.gateway_ip)
    pools = checks.pools(net, gateway, given.pop("allocation_pools", None))
    for name in ("use_default_subnetpool", "prefixlen", "segment_id"):
        given.pop(name, None)
    chosen = {"cidr": str(net), "gateway_ip": gateway, "subnetpool_id": pool, "project_id": project_id}
    row = tx.insert(subnets, **DEFAULTS | given | chosen)
    checks.write_pools(tx, row, pools)
    _plug(tx, network, row)
    return row


taggable("subnets", subnets, lambda tx, request, id: find_subnet(tx, request.context, id))

# -- helpers -------------------------------------------------------------------------------------------------------

DEFAULTS: Json = {
    "name": "", "description": "", "enable_dhcp": True, "dns_nameservers": [], "host_routes": [], "service_types": [],
    "dns_publish_fixed_ip": False,
}  # fmt: skip


def _create(tx: Tx, request: Request, wanted: SubnetCreate) -> Row:
    network = find_network(tx, request.context, wanted.network_id)
    request.enforce(CREATE, target(network, network))
    attribute_rules(request, CREATE, wanted.given(), {}, target(network, network), {"service_types": []})
    return add_subnet(tx, request.context, network, owner(request, wanted.given()), wanted)


def _plug(tx: Tx, network: Row, row: Row) -> None:
    """Start DHCP on a new subnet, and give its automatic addresses to the ports that are there."""
    if row.enable_dhcp:
        serve(tx, network, row)
    if automatic(row):
        guests = sa.select(ports).where(ports.c.network_id == network.id, ~ports.c.device_owner.startswith("network:"))
        for port in tx.all(guests):
            add_from(tx, port, row)
    tx.nudge("network")


def _prefix(tx: Tx, context: Context, wanted: SubnetCreate, network: Row, project: str) -> tuple[ipam.Network, str | None]:
    """The new subnet's prefix: as given, or out of a pool (and then that pool's id)."""
    if wanted.subnetpool_id or wanted.use_default_subnetpool:
        return carve(tx, context, network.id, project, wanted.subnetpool_id or None, wanted.ip_version,
                     wanted.cidr or None, wanted.prefixlen)  # fmt: skip
    if not wanted.cidr:
        raise invalid("a subnetpool must be specified in the absence of a cidr")
    if wanted.prefixlen is not None:
        raise invalid("allocation of a prefix length needs a subnetpool; with a cidr, leave prefixlen out")
    return checks.prefix(wanted.cidr, wanted.ip_version), None


def _for_change(tx: Tx, request: Request, id: str, rule: str) -> tuple[Row, Row]:
    """The subnet and its network, where the caller may change the subnet."""
    row = find_subnet(tx, request.context, id)
    network = tx.one(networks, id=row.network_id)
    request.enforce(rule, target(row, network))
    return row, network


def _external(values: list[str]) -> sa.ColumnElement[bool]:
    wanted = {value.lower() in ("true", "1") for value in values}
    return subnets.c.network_id.in_(sa.select(networks.c.id).where(networks.c.external.in_(wanted)))
