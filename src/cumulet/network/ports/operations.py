"""The operations on ports."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Conflict, Page, Reply, Request
from .. import quotas
from ..bodies import Json, answer, one, one_or_many
from ..networks import find_network, on_own_network
from ..resource import attribute_rules, change, check_revision, find, listed, own, owner, target
from ..service import ADMIN, MEMBER, NET_OWNER_MEMBER, NET_OWNER_READER, READER, api
from ..sharing import shared_with
from ..tables import fixed_ips, networks, port_security_groups, ports
from ..tags import taggable
from . import checks
from .addresses import MOST, ROUTER_OWNERS
from .rows import DEFAULTS, drop, free_mac, groups_of, insert, readdress, set_groups
from .wire import ADMIN_VIEW, COLUMNS, Port, PortCreate, PortUpdate, views, vif_type

quotas.counted("port", ports, 500)

# -- policy --------------------------------------------------------------------------------------------------------

ADVANCED = "rule:context_is_advsvc or rule:service_api"
CREATE = api.rule("create_port", f"{NET_OWNER_MEMBER} or (role:member and rule:shared) or rule:service_api", "Create a port.")
GET = api.rule("get_port", f"{READER} or {NET_OWNER_READER} or {ADVANCED}", "Show a port.")
UPDATE = api.rule("update_port", f"{MEMBER} or {ADVANCED}", "Change a port.")
DELETE = api.rule("delete_port", f"{MEMBER} or {NET_OWNER_MEMBER} or {ADVANCED}", "Delete a port.")
api.rule("network_device", "True:%(network_device)s", "The port says that a device of the network itself owns it.")
_FINER = {
    "device_owner": f"not rule:network_device or {NET_OWNER_MEMBER} or {ADVANCED}",
    "mac_address": f"{NET_OWNER_MEMBER} or {ADVANCED}",
    "fixed_ips": f"{NET_OWNER_MEMBER} or {ADVANCED} or rule:shared",
    "fixed_ips:ip_address": f"{NET_OWNER_MEMBER} or {ADVANCED}",
    "fixed_ips:subnet_id": f"{NET_OWNER_MEMBER} or {ADVANCED} or rule:shared",
    "port_security_enabled": f"{NET_OWNER_MEMBER} or {ADVANCED}",
    "allowed_address_pairs": f"{NET_OWNER_MEMBER} or rule:service_api",
    "binding:host_id": f"{ADMIN} or rule:service_api",
    "binding:profile": f"{ADMIN} or rule:service_api",
    "binding:vnic_type": f"{MEMBER} or rule:service_api",
}
_CHANGED = _FINER | {
    "mac_address": f"{ADMIN} or (role:manager and rule:network_owner) or {ADVANCED}",
    "fixed_ips": f"{NET_OWNER_MEMBER} or {ADVANCED}",
}
for _attribute in _FINER:
    api.rule(f"create_port:{_attribute}", _FINER[_attribute], f"Give a new port `{_attribute}`.")
    api.rule(f"update_port:{_attribute}", _CHANGED[_attribute], f"Change `{_attribute}` of a port.")
for _attribute in ADMIN_VIEW:
    api.rule(f"get_port:{_attribute}", f"{ADMIN} or rule:service_api", f"See `{_attribute}` of a port.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/ports", policy=CREATE, target=on_own_network, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Port | list[Port]]]:
    """Create a port, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "port", "ports", PortCreate)]
    return Reply(answer(body, "port", "ports", views(tx, request, rows)))


@api.op("GET", "/ports", policy=GET, reply="ports")
def index(tx: Tx, request: Request) -> Page[Port]:
    """List the project's ports, and those on its networks."""
    special = {"fixed_ips": _by_address, "security_groups": _by_group, "mac_address": _by_mac}
    return listed(tx, request, ports, "ports", lambda rows: views(tx, request, rows), visible=visible(request.context),
                  columns=COLUMNS, special=special)  # fmt: skip


@api.op("GET", "/ports/{id}", policy=GET, reply="port", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Port:
    """Show a port."""
    return views(tx, request, [find_port(tx, request.context, id)])[0]


@api.op("PUT", "/ports/{id}", policy=UPDATE, reply="port", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Port:
    """Change a port."""
    row, network = _for_change(tx, request, id, UPDATE)
    given = one(body, "port", PortUpdate).given()
    _enforce(request, UPDATE, given, {**target(row, network), "shared": _is_shared(tx, request, network)})
    addresses, groups = given.pop("fixed_ips", ...), given.pop("security_groups", ...)
    checks.prepare(given, row.mac_address, row.extra_dhcp_opts)
    _check_mac(row, given)
    checks.device(request.context, {**row._mapping, **given}, row._asdict())
    groups = groups_of(tx, [id])[id] if groups is ... else checks.known_groups(tx, request.context, groups or [])
    checks.security({**row._mapping, **given}, groups, disabling=row.port_security_enabled)
    if given.get("host", row.host) != row.host:
        given["status"] = "DOWN"
    changed = change(tx, request, ports, row, **given)
    set_groups(tx, id, groups)
    if addresses is not ... or changed.mac_address != row.mac_address:
        readdress(tx, changed, _as_asked(tx, id, addresses))
    tx.nudge("network")
    return views(tx, request, [changed])[0]


@api.op("DELETE", "/ports/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a port. Those of routers and floating IPs go with these only."""
    row, _ = _for_change(tx, request, id, DELETE)
    check_revision(request, row)
    if row.device_owner in ROUTER_OWNERS:
        raise Conflict(
            f"Port {id} cannot be deleted directly via the port API: has device owner {row.device_owner}.",
            kind="ServicePortInUse",
        )
    drop(tx, id)


# -- for other resources -------------------------------------------------------------------------------------------


def visible(context: Context) -> sa.ColumnElement[bool]:
    """Which ports the caller sees: their project's, and all on its networks."""
    if context.roles & checks.TRUSTED:
        return sa.true()
    mine = sa.select(networks.c.id).where(networks.c.project_id == context.project_id)
    return sa.or_(own(context, ports), ports.c.network_id.in_(mine))


def find_port(tx: Tx, context: Context, id: str) -> Row:
    """The port's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, ports, id, "Port", visible(context))


taggable("ports", ports, lambda tx, request, id: find_port(tx, request.context, id))

# -- helpers -------------------------------------------------------------------------------------------------------


def _create(tx: Tx, request: Request, wanted: PortCreate) -> Row:
    network = find_network(tx, request.context, wanted.network_id)
    given = wanted.given()
    project = owner(request, given)
    of = {"project_id": project, "tenant_id": project, "network:project_id": network.project_id,
          "network:tenant_id": network.project_id, "shared": _is_shared(tx, request, network)}  # fmt: skip
    request.enforce(CREATE, of)
    _enforce(request, CREATE, given, of)
    quotas.check(tx, project, "port")
    addresses, groups, mac = (
        given.pop("fixed_ips", None),
        given.pop("security_groups", None),
        given.pop("mac_address", None),
    )
    mac = mac.lower() if mac else free_mac(tx, network.id)
    checks.prepare(given, mac, [])
    checks.device(request.context, {**DEFAULTS, **given}, DEFAULTS)
    trusted = given.get("device_owner", "").startswith("network:")
    given.setdefault("port_security_enabled", network.port_security_enabled and not trusted)
    groups = checks.groups_for_new(tx, request.context, project, groups, given["port_security_enabled"] and not trusted)
    checks.security({**DEFAULTS, **given}, groups, disabling=False)
    given.pop("network_id")
    return insert(tx, network.id, project, fixed_ips=_as_asked(tx, None, addresses), groups=groups, mac=mac, **given)


def _for_change(tx: Tx, request: Request, id: str, rule: str) -> tuple[Row, Row]:
    row = find_port(tx, request.context, id)
    network = tx.one(networks, id=row.network_id)
    request.enforce(rule, target(row, network))
    return row, network


def _is_shared(tx: Tx, request: Request, network: Row) -> bool:
    return bool(shared_with(tx, "network", [network.id], request.context.project_id))


def _enforce(request: Request, rule: str, given: Json, of: dict) -> None:
    """The finer rules of the attributes, down to those of each address."""
    of["network_device"] = given.get("device_owner", "").startswith("network:")
    defaults = {"vnic_type": "normal", "device_owner": ""} if rule == CREATE else None
    attribute_rules(request, rule, given, COLUMNS | {"binding:profile": "profile"}, of, defaults)
    for name in ("ip_address", "subnet_id"):
        if any(getattr(one, name) for one in given.get("fixed_ips") or ()):
            request.enforce(f"{rule}:fixed_ips:{name}", of)


def _as_asked(tx: Tx, id: str | None, addresses: t.Any) -> list[dict] | None:
    """The addresses as `assign` takes them; where they were left out, a new port gets the default ones, an old
    one keeps its subnets. Raises BadRequest for too many or one twice."""
    if addresses is ...:
        rows = tx.rows(fixed_ips, port_id=id, order=fixed_ips.c.created_at)
        return [{"subnet_id": row.subnet_id} for row in rows]
    if addresses is None:
        return None
    if len(addresses) > MOST:
        raise BadRequest(f"Invalid input for operation: Exceeded maximum amount of fixed ips per port: {MOST}.", kind="InvalidInput")
    exact = [one.ip_address for one in addresses if one.ip_address]
    if len(set(exact)) < len(exact):
        raise BadRequest("Invalid input for fixed_ips. Reason: Duplicate IP address.", kind="HTTPBadRequest")
    return [{"subnet_id": one.subnet_id, "ip_address": one.ip_address} for one in addresses]


def _check_mac(row: Row, given: Json) -> None:
    new = given.get("mac_address", row.mac_address)
    if new != row.mac_address and row.host:
        raise Conflict(
            f"Unable to complete operation on port {row.id}, port is already bound, port type: {vif_type(row)}, "
            f"old_mac {row.mac_address}, new_mac {new}.", kind="PortBound",
        )  # fmt: skip


def _by_address(values: list[str]) -> sa.ColumnElement[bool]:
    """`fixed_ips=subnet_id=ID`, `ip_address=IP` or `ip_address_substr=TEXT`: of one key any, of all keys each."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        key, _, text = value.partition("=")
        wanted.setdefault(key, []).append(text)
    tests = {
        "subnet_id": lambda texts: fixed_ips.c.subnet_id.in_(texts),
        "ip_address": lambda texts: fixed_ips.c.address.in_(texts),
        "ip_address_substr": lambda texts: sa.or_(*(fixed_ips.c.address.contains(text, autoescape=True) for text in texts)),
    }
    if unknown := set(wanted) - set(tests):
        raise BadRequest(f"Invalid input for operation: fixed_ips cannot be filtered by {sorted(unknown)}.", kind="InvalidInput")
    return sa.and_(*(ports.c.id.in_(sa.select(fixed_ips.c.port_id).where(tests[key](texts))) for key, texts in wanted.items()))


def _by_group(values: list[str]) -> sa.ColumnElement[bool]:
    c = port_security_groups.c
    return ports.c.id.in_(sa.select(c.port_id).where(c.security_group_id.in_(values)))


def _by_mac(values: list[str]) -> sa.ColumnElement[bool]:
    return ports.c.mac_address.in_([value.lower() for value in values])
