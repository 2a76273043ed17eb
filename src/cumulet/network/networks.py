"""Networks: isolated segments of layer 2. Projects make VXLANs; administrators others too, shared and external ones."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Conflict, NotFound, Page, Reply, Request, UnsetType
from . import quotas
from .bodies import Attributes, Json, ProjectId, Text, answer, one, one_or_many
from .provider import MTU, choose
from .resource import (
    StandardView,
    attribute_rules,
    change,
    check_revision,
    find,
    listed,
    owner,
    remove,
    standard_view,
    tags_of,
    target,
)
from .service import ADMIN, MEMBER, READER, api
from .sharing import ALL, EXTERNAL, SHARED, by_shared, given_to, losers, share, shared_with
from .tables import networks, ports, rbac_policies, subnetpools, subnets, tags
from .tags import taggable

quotas.counted("network", networks, 100)

ZONE = "nova"
"""The availability zone of networks and routers."""
MTU_LEAST, MTU_IPV6 = 68, 1280
"""What every host of IPv4 takes (RFC 791), and what IPv6 needs of a link (RFC 8200, 5)."""
DHCP_OWNER = "network:dhcp"

# -- wire ----------------------------------------------------------------------------------------------------------


class NetworkUpdate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = msgspec.field(default=UNSET, name="router:external")
    is_default: bool | UnsetType = UNSET
    mtu: t.Annotated[int, msgspec.Meta(ge=MTU_LEAST, le=65535)] | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    dns_domain: Text | UnsetType = UNSET
    qos_policy_id: None | UnsetType = UNSET
    network_type: t.Literal["vxlan", "vlan", "flat", "local"] | UnsetType = msgspec.field(default=UNSET, name="provider:network_type")
    physical_network: t.Annotated[str, msgspec.Meta(max_length=64)] | None | UnsetType = msgspec.field(
        default=UNSET, name="provider:physical_network"
    )
    segmentation_id: int | None | UnsetType = msgspec.field(default=UNSET, name="provider:segmentation_id")


class NetworkCreate(NetworkUpdate, kw_only=True):
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET
    availability_zone_hints: t.Annotated[list[Text], msgspec.Meta(max_length=16)] = []
    vlan_transparent: bool | None | UnsetType = UNSET


class Network(StandardView, kw_only=True):
    admin_state_up: bool
    status: str
    shared: bool
    external: bool = msgspec.field(name="router:external")
    is_default: bool | UnsetType = UNSET
    mtu: int
    port_security_enabled: bool
    dns_domain: str
    qos_policy_id: None = None
    subnets: list[str]
    availability_zone_hints: list[str]
    availability_zones: list[str]
    ipv4_address_scope: str | None
    ipv6_address_scope: str | None
    l2_adjacency: bool = True
    vlan_transparent: bool | None
    network_type: str | UnsetType = msgspec.field(default=UNSET, name="provider:network_type")
    physical_network: str | None | UnsetType = msgspec.field(default=UNSET, name="provider:physical_network")
    segmentation_id: int | None | UnsetType = msgspec.field(default=UNSET, name="provider:segmentation_id")


PROVIDER = {n: f"provider:{n}" for n in ("network_type", "physical_network", "segmentation_id")}
COLUMNS = {wire: column for column, wire in PROVIDER.items()} | {"router:external": "external"}

# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_network", MEMBER, "Create a network.")
GET = api.rule("get_network", f"{READER} or rule:shared or rule:external or rule:context_is_advsvc", "Show a network.")
UPDATE = api.rule("update_network", MEMBER, "Change a network.")
DELETE = api.rule("delete_network", MEMBER, "Delete a network.")
for _attribute in ("shared", "router:external", "is_default", *PROVIDER.values()):
    api.rule(f"create_network:{_attribute}", ADMIN, f"Give a new network `{_attribute}`.")
    api.rule(f"update_network:{_attribute}", ADMIN, f"Change `{_attribute}` of a network.")
for _attribute in ("mtu", "port_security_enabled"):
    api.rule(f"create_network:{_attribute}", MEMBER, f"Give a new network `{_attribute}`.")
    api.rule(f"update_network:{_attribute}", MEMBER, f"Change `{_attribute}` of a network.")
for _attribute in PROVIDER.values():
    api.rule(f"get_network:{_attribute}", ADMIN, f"See `{_attribute}` of a network.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/networks", policy=CREATE, status=201, errors=(403, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Network | list[Network]]]:
    """Create a network, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "network", "networks", NetworkCreate)]
    return Reply(answer(body, "network", "networks", views(tx, request, rows)))


@api.op("GET", "/networks", policy=GET, reply="networks")
def index(tx: Tx, request: Request) -> Page[Network]:
    """List the networks of the caller's project, and the shared and external ones."""
    return listed(tx, request, networks, "networks", lambda rows: views(tx, request, rows),
                  visible=visible(request.context), columns=COLUMNS, special={
                      "status": _of_status, "shared": by_shared(networks.c.id, "network", request.context.project_id),
                  })  # fmt: skip


@api.op("GET", "/networks/{id}", policy=GET, reply="network", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Network:
    """Show a network."""
    return views(tx, request, [find_network(tx, request.context, id)])[0]


@api.op("PUT", "/networks/{id}", policy=UPDATE, reply="network", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Network:
    """Change a network."""
    row = find_network(tx, request.context, id)
    request.enforce(UPDATE, target(row))
    given = one(body, "network", NetworkUpdate).given()
    attribute_rules(request, UPDATE, given, COLUMNS, target(row))
    _check_change(tx, row, given)
    given.pop("qos_policy_id", None)
    shared, external = given.pop("shared", None), given.get("external")
    changed = change(tx, request, networks, row, **given)
    _share(tx, row, shared, external if external != row.external else None)
    tx.nudge("network")
    return views(tx, request, [changed])[0]


@api.op("DELETE", "/networks/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a network with its subnets. Only ports that the cloud made by itself may still be on it."""
    row = find_network(tx, request.context, id)
    request.enforce(DELETE, target(row))
    check_revision(request, row)
    drop_network(tx, row)


BeforeDelete = t.Callable[[Tx, Row], None]
BEFORE_DELETE: list[BeforeDelete] = []


def before_delete(fn: BeforeDelete) -> BeforeDelete:
    """Have a function called with a network's row before its deletion, to take away what does not keep it from going."""
    BEFORE_DELETE.append(fn)
    return fn


# -- for other resources and services ------------------------------------------------------------------------------


def visible(context: Context) -> sa.ColumnElement[bool]:
    """Which networks the caller sees: their project's, shared and external ones."""
    if context.is_admin or "advsvc" in context.roles:
        return sa.true()
    return visible_to(context.project_id)


def visible_to(project_id: str | None) -> sa.ColumnElement[bool]:
    """Which networks a project's members see."""
    return sa.or_(networks.c.project_id == project_id, networks.c.id.in_(given_to("network", project_id)))


def on_own_network(tx: Tx, request: Request, **_: str) -> dict:
    """What policy is asked about before a request's network is known: something on one of the caller's own."""
    return request.context.own_target() | {"network:project_id": request.context.project_id}


def find_network(tx: Tx, context: Context, id: str) -> Row:
    """The network's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, networks, id, "Network", visible(context))


def usable_networks(tx: Tx, project_id: str) -> list[Row]:
    """The networks that a project's servers are put on where none is named: its own and shared ones, not external."""
    mine = sa.or_(networks.c.project_id == project_id, networks.c.id.in_(given_to("network", project_id, SHARED)))
    return tx.all(sa.select(networks).where(mine, ~networks.c.external).order_by(networks.c.created_at, networks.c.id))


def add_network(tx: Tx, project_id: str, **given: t.Any) -> Row:
    """A new network with these attributes, the rest by default. Raises Conflict (quota, numbers), BadRequest."""
    quotas.check(tx, project_id, "network")
    segment = choose(tx, given)
    _check_mtu(given, segment["network_type"])
    _check_default(tx, given, bool(given.get("external")), None)
    given.pop("qos_policy_id", None)
    values = {**DEFAULTS, "availability_zone_hints": [], "mtu": MTU[segment["network_type"]], **given, **segment}
    shared = values.pop("shared")
    row = tx.insert(networks, **values, project_id=project_id)
    _share(tx, row, shared, row.external)
    return row


def drop_network(tx: Tx, row: Row) -> None:
    """Remove a network with its subnets. Raises Conflict where ports are on it that the cloud did not make by itself."""
    for fn in BEFORE_DELETE:
        fn(tx, row)
    busy = tx.all(sa.select(ports.c.id).where(ports.c.network_id == row.id, ports.c.device_owner != DHCP_OWNER).limit(5))
    if busy:
        names = ", ".join(port.id for port in busy)
        raise Conflict(
            f"Unable to complete operation on network {row.id}. There are one or more ports still in use on the network, "
            f"id for these ports is {names}.", kind="NetworkInUse",
        )  # fmt: skip
    for part in (ports, subnets):
        parts = sa.select(part.c.id).where(part.c.network_id == row.id)
        tx.execute(sa.delete(tags).where(tags.c.resource_id.in_(parts)))
        tx.delete(part, network_id=row.id)
    remove(tx, networks, row.id)
    tx.nudge("network")


def become_external(tx: Tx, request: Request, network: Row) -> None:
    """Make a network external, for whom it is shared with as such. Raises Forbidden."""
    if not network.external:
        request.enforce(f"{UPDATE}:router:external", target(network))
        tx.update(networks, network.id, external=True)


def leave_external(tx: Tx, network: Row) -> None:
    """Make a network internal. Raises Conflict where routers go out by it."""
    _check_no_gateways(tx, network)
    tx.update(networks, network.id, external=False, is_default=False)


def check_zones(hints: t.Iterable[str]) -> None:
    """Raise NotFound for a hint at an availability zone that is none."""
    for hint in hints:
        if hint != ZONE:
            raise NotFound(f"AvailabilityZone {hint} could not be found.", kind="AvailabilityZoneNotFound")


taggable("networks", networks, lambda tx, request, id: find_network(tx, request.context, id))

# -- helpers -------------------------------------------------------------------------------------------------------


DEFAULTS: Json = {
    "name": "", "description": "", "admin_state_up": True, "shared": False, "external": False, "is_default": False,
    "port_security_enabled": True, "dns_domain": "", "vlan_transparent": None,
}  # fmt: skip


def _create(tx: Tx, request: Request, wanted: NetworkCreate) -> Row:
    given = wanted.given()
    project = owner(request, given)
    of = {"project_id": project, "tenant_id": project}
    request.enforce(CREATE, of)
    attribute_rules(request, CREATE, given, COLUMNS, of, DEFAULTS)
    check_zones(wanted.availability_zone_hints)
    return add_network(tx, project, **given)


def _share(tx: Tx, row: Row, shared: bool | None, external: bool | None) -> None:
    """Share a network with all projects, and as an external one, or no more; None leaves it as it is."""
    if shared is False:
        tx.delete(rbac_policies, object_id=row.id, action=SHARED, target_project=ALL)
    if external is False:
        tx.delete(rbac_policies, object_id=row.id, action=EXTERNAL)
    for action in (SHARED,) * bool(shared) + (EXTERNAL,) * bool(external):
        share(tx, "network", row, action)


def _check_mtu(given: Json, kind: str) -> None:
    if given.get("mtu", 0) > MTU[kind]:
        raise BadRequest(f"Invalid input for operation: Requested MTU is too big, maximum is {MTU[kind]}.", kind="InvalidInput")


def mtu_conflict(network: Row) -> Conflict:
    return Conflict(f"MTU of {network.id} is not valid, subnet requires a minimum of {MTU_IPV6} bytes.", kind="NetworkMTUSubnetConflict")


def _check_default(tx: Tx, given: Json, external: bool, id: str | None) -> None:
    """One external network at most is the one that routers get where none is named; one that is not external is never it."""
    other = tx.get(networks, is_default=True) if given.get("is_default") else None
    if other is not None and other.id != id:
        raise Conflict(f"A default external network already exists: {other.id}.", kind="DefaultExternalNetworkExists")
    if not external:
        given["is_default"] = False


def _check_change(tx: Tx, row: Row, given: Json) -> None:
    """Raise for a change that the network's type or its ports forbid."""
    for column, wire in PROVIDER.items():
        if given.get(column, getattr(row, column)) != getattr(row, column):
            raise BadRequest(
                f"Invalid input for operation: Plugin does not support updating provider attributes: {wire}.",
                kind="InvalidInput",
            )
    _check_mtu(given, row.network_type)
    if given.get("mtu", MTU_IPV6) < MTU_IPV6 and tx.rows(subnets, network_id=row.id, ip_version=6):
        raise mtu_conflict(row)
    _check_default(tx, given, given.get("external", row.external), row.id)
    if row.external and given.get("external") is False:
        _check_no_gateways(tx, row)
    everybody = tx.get(rbac_policies, object_id=row.id, action=SHARED, target_project=ALL)
    if everybody is not None and given.get("shared") is False and losers(tx, "network", SHARED, row, ALL):
        raise Conflict(
            f"Unable to reconfigure sharing settings for network {row.id}. Multiple tenants are using it.",
            kind="InvalidSharedSetting",
        )


def _check_no_gateways(tx: Tx, row: Row) -> None:
    gateways = ports.c.device_owner.in_(("network:router_gateway", "network:floatingip"))
    if tx.first(sa.select(ports.c.id).where(ports.c.network_id == row.id, gateways).limit(1)):
        raise Conflict(
            f"External network {row.id} cannot be updated to be made non-external, since it has existing gateway "
            "ports.", kind="ExternalNetworkInUse",
        )  # fmt: skip


def _of_status(values: list[str]) -> sa.ColumnElement[bool]:
    return sa.true() if "ACTIVE" in values else sa.false()


def views(tx: Tx, request: Request, rows: list[Row]) -> list[Network]:
    """The networks as the caller may see them, with a fixed number of queries."""
    tagged, parts = tags_of(tx, rows), _subnets_of(tx, rows)
    shared = shared_with(tx, "network", [row.id for row in rows], request.context.project_id)
    return [_view(request, row, tagged[row.id], parts[row.id], row.id in shared) for row in rows]


def _subnets_of(tx: Tx, rows: list[Row]) -> dict[str, list[Row]]:
    """The subnets of these networks, each with the address scope of its pool."""
    found: dict[str, list[Row]] = {row.id: [] for row in rows}
    c = subnets.c
    statement = sa.select(c.id, c.network_id, c.ip_version, subnetpools.c.address_scope_id)
    statement = statement.select_from(subnets.outerjoin(subnetpools)).where(c.network_id.in_(list(found)))
    for row in tx.all(statement.order_by(c.created_at, c.id)) if found else ():
        found[row.network_id].append(row)
    return found


def _view(request: Request, row: Row, tagged: list[str], parts: list[Row], shared: bool) -> Network:
    scopes = {part.ip_version: part.address_scope_id for part in parts}
    of = target(row)
    provider = {column: getattr(row, column) for column, wire in PROVIDER.items() if request.allows(f"get_network:{wire}", of)}
    return Network(
        **standard_view(row, tagged), admin_state_up=row.admin_state_up, status="ACTIVE", shared=shared,
        external=row.external, is_default=row.is_default if row.external else UNSET, mtu=row.mtu,
        port_security_enabled=row.port_security_enabled, dns_domain=row.dns_domain, subnets=[part.id for part in parts],
        availability_zone_hints=row.availability_zone_hints, availability_zones=[ZONE],
        vlan_transparent=row.vlan_transparent, ipv4_address_scope=scopes.get(4), ipv6_address_scope=scopes.get(6),
        **provider,
    )  # fmt: skip
