"""The operations on routers and on their routes."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Conflict, Page, Reply, Request, UnsetType
from .. import quotas
from ..bodies import Attributes, Json, ProjectId, Text, answer, one, one_or_many
from ..networks import ZONE, check_zones
from ..ports.addresses import of_ports
from ..ports.rows import drop
from ..resource import (
    StandardView,
    attribute_rules,
    change,
    check_revision,
    listed,
    own,
    owner,
    remove,
    standard_view,
    tags_of,
    target,
)
from ..service import ADMIN, MEMBER, READER, api
from ..tables import ports
from ..tags import taggable
from . import gateway, routes
from .gateway import GatewayInfo
from .routes import Pair, Route, Routes
from .rows import INTERFACE, bad, find_router, gateways, routers

# -- wire ----------------------------------------------------------------------------------------------------------


class RouterCreate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: GatewayInfo | None | UnsetType = UNSET
    availability_zone_hints: t.Annotated[list[Text], msgspec.Meta(max_length=16)] | UnsetType = UNSET
    distributed: bool | None | UnsetType = UNSET
    ha: bool | None | UnsetType = UNSET
    flavor_id: None | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class RouterUpdate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: GatewayInfo | None | UnsetType = UNSET
    routes: list[Route] | None | UnsetType = UNSET
    distributed: bool | None | UnsetType = UNSET
    ha: bool | None | UnsetType = UNSET


class Router(StandardView, kw_only=True):
    """`distributed` is kept as it was asked for. With the drivers of this cloud a router is on one host, floating IPs
    and all, and what is asked for changes nothing of how packets go."""

    admin_state_up: bool
    status: str
    external_gateway_info: Json | None
    routes: list[Pair]
    availability_zone_hints: list[str]
    availability_zones: list[str]
    flavor_id: None = None
    distributed: bool | UnsetType = UNSET
    ha: bool | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_router", MEMBER, "Create a router.")
GET = api.rule("get_router", READER, "Show a router.")
UPDATE = api.rule("update_router", MEMBER, "Change a router.")
DELETE = api.rule("delete_router", MEMBER, "Delete a router.")
ADD_ROUTES = api.rule("add_extraroutes", MEMBER, "Add routes to a router.")
REMOVE_ROUTES = api.rule("remove_extraroutes", MEMBER, "Remove routes from a router.")
KINDS = ("distributed", "ha")
_FINER = {
    "external_gateway_info": MEMBER, "external_gateway_info:network_id": MEMBER, "external_gateway_info:enable_snat": ADMIN,
    "external_gateway_info:external_fixed_ips": ADMIN,
} | dict.fromkeys(KINDS, ADMIN)  # fmt: skip
for _attribute, _check in _FINER.items():
    api.rule(f"create_router:{_attribute}", _check, f"Give a new router `{_attribute}`.")
    api.rule(f"update_router:{_attribute}", _check, f"Change `{_attribute}` of a router.")
for _attribute in KINDS:
    api.rule(f"get_router:{_attribute}", ADMIN, f"See `{_attribute}` of a router.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/routers", policy=CREATE, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Router | list[Router]]]:
    """Create a router, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "router", "routers", RouterCreate)]
    return Reply(answer(body, "router", "routers", views(tx, request, rows)))


@api.op("GET", "/routers", policy=GET, reply="routers")
def index(tx: Tx, request: Request) -> Page[Router]:
    """List the project's routers."""
    return listed(tx, request, routers, "routers", lambda rows: views(tx, request, rows), visible=own(request.context, routers))


@api.op("GET", "/routers/{id}", policy=GET, reply="router", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Router:
    """Show a router."""
    return views(tx, request, [find_router(tx, request.context, id)])[0]


@api.op("PUT", "/routers/{id}", policy=UPDATE, reply="router", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Router:
    """Change a router."""
    row = find_router(tx, request.context, id)
    request.enforce(UPDATE, target(row))
    given = one(body, "router", RouterUpdate).given()
    _enforce(request, UPDATE, given, target(row))
    _check_distributed(row, given)
    if "routes" in given:
        given["routes"] = routes.canonical(given["routes"] or ())
    if "external_gateway_info" in given:
        given["enable_snat"] = gateway.set_gateway(tx, request.context, row, given.pop("external_gateway_info"))
    return _changed(tx, request, row, given)


@api.op("DELETE", "/routers/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a router that has no interfaces, with its gateway."""
    row = find_router(tx, request.context, id)
    request.enforce(DELETE, target(row))
    check_revision(request, row)
    drop_router(tx, row)


@api.op("PUT", "/routers/{id}/add_extraroutes", policy=ADD_ROUTES, reply="router", errors=(404, 409, 412))
def add_extraroutes(tx: Tx, request: Request, id: str, body: Json) -> Router:
    """Add routes to a router; those that it has already are no error."""
    row = find_router(tx, request.context, id)
    request.enforce(ADD_ROUTES, target(row))
    more = routes.canonical(one(body, "router", Routes).routes)
    return _changed(tx, request, row, {"routes": row.routes + [route for route in more if route not in row.routes]})


@api.op("PUT", "/routers/{id}/remove_extraroutes", policy=REMOVE_ROUTES, reply="router", errors=(404, 412))
def remove_extraroutes(tx: Tx, request: Request, id: str, body: Json) -> Router:
    """Remove routes from a router; those that it does not have are no error."""
    row = find_router(tx, request.context, id)
    request.enforce(REMOVE_ROUTES, target(row))
    less = routes.canonical(one(body, "router", Routes).routes)
    return _changed(tx, request, row, {"routes": [route for route in row.routes if route not in less]})


# -- for other resources -------------------------------------------------------------------------------------------


def add_router(tx: Tx, context: Context, project_id: str, info: GatewayInfo | None, **given: t.Any) -> Row:
    """A new router with this gateway and these attributes, the rest by default. Raises BadRequest, NotFound, Conflict."""
    quotas.check(tx, project_id, "router")
    defaults = {"name": "", "description": "", "admin_state_up": True, "status": "ACTIVE", "enable_snat": True, "routes": [],
                "availability_zone_hints": [], "distributed": False, "host": ""}  # fmt: skip
    row = tx.insert(routers, **defaults | given, project_id=project_id)
    if info is not None:
        tx.update(routers, row.id, enable_snat=gateway.set_gateway(tx, context, row, info), updated_at=None)
    tx.nudge("network")
    return tx.one(routers, id=row.id)


def drop_router(tx: Tx, row: Row) -> None:
    """Remove a router with its gateway. Raises Conflict where it has interfaces."""
    if tx.first(sa.select(ports.c.id).where(ports.c.device_id == row.id, ports.c.device_owner == INTERFACE).limit(1)):
        raise Conflict(f"Router {row.id} still has ports", kind="RouterInUse")
    for port in gateways(tx, [row.id]).values():
        drop(tx, port.id)
    remove(tx, routers, row.id)
    tx.nudge("network")


taggable("routers", routers, lambda tx, request, id: find_router(tx, request.context, id))

# -- helpers -------------------------------------------------------------------------------------------------------


def _create(tx: Tx, request: Request, wanted: RouterCreate) -> Row:
    given = wanted.given()
    project = owner(request, given)
    _enforce(request, CREATE, given, {"project_id": project, "tenant_id": project})
    given.pop("flavor_id", None)
    check_zones(given.get("availability_zone_hints", ()))
    return add_router(tx, request.context, project, given.pop("external_gateway_info", None), **given)


def _enforce(request: Request, rule: str, given: Json, of: dict) -> None:
    """The finer rules, and what no router here can be. Takes the latter out of `given`, and what is null."""
    attribute_rules(request, rule, given, {}, of)
    gateway.enforce(request, rule, given.get("external_gateway_info"), of)
    if given.pop("ha", False):
        raise BadRequest("Invalid input for ha. Reason: routers of this cloud live on one host.", kind="HTTPBadRequest")
    if given.get("distributed", ...) is None:
        del given["distributed"]


def _check_distributed(row: Row, given: Json) -> None:
    if given.get("distributed", row.distributed) != row.distributed and given.get("admin_state_up", row.admin_state_up):
        raise bad("Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False prior to upgrade")


def _changed(tx: Tx, request: Request, row: Row, values: Json) -> Router:
    """Write a router's new values; its routes must fit the networks that it is on by now."""
    routes.check(tx, row.id, values.get("routes", row.routes))
    changed = change(tx, request, routers, row, **values)
    tx.nudge("network")
    return views(tx, request, [changed])[0]


def views(tx: Tx, request: Request, rows: list[Row]) -> list[Router]:
    """The routers as the caller may see them, with a fixed number of queries."""
    tagged, outside = tags_of(tx, rows), gateways(tx, [row.id for row in rows])
    addresses = of_ports(tx, [port.id for port in outside.values()])
    return [
        Router(
            **standard_view(row, tagged[row.id]), admin_state_up=row.admin_state_up, status=row.status, routes=row.routes,
            external_gateway_info=_info(row, outside.get(row.id), addresses), availability_zones=[ZONE] if row.host else [],
            availability_zone_hints=row.availability_zone_hints,
            distributed=row.distributed if request.allows("get_router:distributed", target(row)) else UNSET,
            ha=False if request.allows("get_router:ha", target(row)) else UNSET,
        ) for row in rows
    ]  # fmt: skip


def _info(row: Row, port: Row | None, addresses: dict[str, list[Row]]) -> Json | None:
    if port is None:
        return None
    fixed = [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in addresses[port.id]]
    return {"network_id": port.network_id, "external_fixed_ips": fixed, "enable_snat": row.enable_snat}
