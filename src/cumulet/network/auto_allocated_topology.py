"""The network that a project gets where it has made none: one with a subnet of each default pool, behind a router that goes
out by the default external network."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from starlette.responses import Response

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx, table
from ..kernel.http import BadRequest, Conflict, Request, View
from .networks import add_network, drop_network
from .routers.gateway import GatewayInfo
from .routers.interfaces import by_subnet, without_subnet
from .routers.operations import add_router, drop_router
from .routers.rows import INTERFACE, attached, routers
from .service import MEMBER, READER, api
from .subnets.operations import add_subnet
from .subnets.wire import SubnetCreate
from .tables import networks, subnetpools, subnets

# -- table ---------------------------------------------------------------------------------------------------------

auto_topologies = table(
    "auto_allocated_topologies",
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("network_id", sa.String(64), sa.ForeignKey("networks.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("router_id", sa.String(64), sa.ForeignKey("routers.id", ondelete="SET NULL"), index=True),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------

DRY_RUN = "dry-run"
"""The field that asks whether there could be such a network, and makes none."""


class Topology(View, kw_only=True):
    """`id` is the network's."""

    id: str
    tenant_id: str
    project_id: str


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_auto_allocated_topology", READER, "Show, and make, a project's own network.")
DELETE = api.rule("delete_auto_allocated_topology", MEMBER, "Delete a project's own network.")


def _project(tx: Tx, request: Request, project_id: str) -> dict:
    return {"project_id": _meant(request, project_id), "tenant_id": _meant(request, project_id)}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/auto-allocated-topology/{project_id}", policy=GET, target=_project, write=True, errors=(404, 409))
def show(tx: Tx, request: Request, project_id: str) -> Response:
    """Show the network that a project was given; it is made if it is not there yet."""
    project, fields = _meant(request, project_id), {value for name, value in request.query if name == "fields"}
    if fields == {DRY_RUN}:
        _needed(tx)
        return _answer(f"{DRY_RUN}=pass", project)
    if fields:
        raise BadRequest("Bad auto_allocate request: Unrecognized field.", kind="BadRequest")
    return _answer(auto_network(tx, request.context, project), project)


@api.op("DELETE", "/auto-allocated-topology/{project_id}", policy=DELETE, target=_project, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, project_id: str) -> None:
    """Delete the network that a project was given, with its router. Nothing of the project's must be on it any more."""
    row = tx.get(auto_topologies, project_id=_meant(request, project_id))
    if row is None:
        return
    router = tx.get(routers, id=row.router_id)
    if router is not None:
        for leg in attached(tx, router.id):
            if leg.device_owner == INTERFACE and leg.network_id == row.network_id:
                without_subnet(tx, router, tx.one(subnets, id=leg.subnet_id))
        drop_router(tx, router)
    drop_network(tx, tx.one(networks, id=row.network_id))


# -- for other services --------------------------------------------------------------------------------------------


def auto_network(tx: Tx, context: Context, project_id: str) -> str:
    """The id of the network that a project was given; it is made if it is not there yet.
    Raises Conflict where the cloud lacks what it is made of (`AutoAllocationFailure`), or a quota does not suffice."""
    found = tx.get(auto_topologies, project_id=project_id)
    if found is not None:
        return found.network_id
    outside, pools = _needed(tx)
    network = add_network(tx, project_id, name="auto_allocated_network")
    router = add_router(tx, context, project_id, GatewayInfo(network_id=outside.id), name="auto_allocated_router")
    for pool in pools:
        name = f"auto_allocated_subnet_v{pool.ip_version}"
        wanted = SubnetCreate(network_id=network.id, ip_version=pool.ip_version, name=name, use_default_subnetpool=True)
        by_subnet(tx, context, router, add_subnet(tx, context, network, project_id, wanted).id)
    tx.insert(auto_topologies, project_id=project_id, network_id=network.id, router_id=router.id)
    return network.id


# -- helpers -------------------------------------------------------------------------------------------------------


def _meant(request: Request, project_id: str) -> str:
    """`None`, as some clients write it, is the caller's own project."""
    return request.context.project_id or "" if project_id == "None" else project_id


def _needed(tx: Tx) -> tuple[Row, list[Row]]:
    """The default external network and the default pools. Raises Conflict."""
    outside, pools = tx.get(networks, is_default=True, external=True), tx.rows(subnetpools, is_default=True, order=subnetpools.c.ip_version)
    if outside is None:
        raise _failure("No default router:external network")
    if not pools:
        raise _failure("No default subnetpools defined")
    return outside, pools


def _failure(why: str) -> Conflict:
    return Conflict(f"Deployment error: {why}.", kind="AutoAllocationFailure")


def _answer(id: str, project_id: str) -> Response:
    """The view whole: `fields` is no selection here."""
    view = Topology(id=id, tenant_id=project_id, project_id=project_id)
    return Response(msgspec.json.encode({"auto_allocated_topology": view}), media_type="application/json")
