"""Which L3 agent a router lives with. Routers without one are given one; an administrator moves them."""

from __future__ import annotations

import sqlalchemy as sa
from starlette.responses import Response

from ...kernel.db import Row, Tx
from ...kernel.http import Conflict, NotFound, Request
from ..bodies import Json
from ..floatingips import floatingips
from ..hosts import silent_since
from ..routers.operations import Router, views
from ..routers.rows import GATEWAY, INTERFACE, find_router, routers
from ..service import ADMIN, api
from ..tables import ports
from . import operations
from .operations import Agent
from .rows import L3, agents, find_agent
from .wire import accepted, named

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_l3-routers", ADMIN, "List the routers that an L3 agent hosts.")
CREATE = api.rule("create_l3-router", ADMIN, "Give a router to an L3 agent.")
DELETE = api.rule("delete_l3-router", ADMIN, "Take a router from an L3 agent.")
AGENTS = api.rule("get_l3-agents", ADMIN, "List the L3 agents that host a router.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/agents/{id}/l3-routers", policy=GET, reply="routers", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[Router]:
    """List the routers that an L3 agent hosts."""
    agent = find_agent(tx, id)
    return views(tx, request, tx.rows(routers, host=agent.host, order=routers.c.id) if agent.agent_type == L3 else [])


@api.op("POST", "/agents/{id}/l3-routers", policy=CREATE, status=201, errors=(404, 409))
def add(tx: Tx, request: Request, id: str, body: Json) -> Response:
    """Give a router to an L3 agent. One that another hosts is to be taken from that one first."""
    agent = _usable(tx, id)
    router = find_router(tx, request.context, named(body, "router_id"))
    if router.host == agent.host:
        return accepted()
    if router.host:
        raise _hosted(tx, router)
    if since := silent_since(tx, agent.host):
        raise Conflict(f"Failed scheduling router {router.id} to the L3 Agent {id}. Its host {agent.host} was last heard of at {since}.",
                       kind="RouterSchedulingFailed")  # fmt: skip
    _move(tx, router, agent.host)
    return accepted()


@api.op("DELETE", "/agents/{id}/l3-routers/{router_id}", policy=DELETE, status=204, errors=(404, 409))
def remove(tx: Tx, request: Request, id: str, router_id: str) -> None:
    """Take a router from its L3 agent. It lives nowhere then, until it is given to an agent."""
    agent = find_agent(tx, id)
    router = find_router(tx, request.context, router_id)
    if agent.agent_type != L3 or router.host != agent.host:
        raise Conflict(f"The router {router_id} is not hosted by the L3 Agent {id}.", kind="RouterNotHostedByL3Agent")
    _move(tx, router, None)


@api.op("GET", "/routers/{id}/l3-agents", policy=AGENTS, reply="agents", errors=(404,))
def hosting(tx: Tx, request: Request, id: str) -> list[Agent]:
    """List the L3 agents that host a router: one, or none."""
    router = find_router(tx, request.context, id)
    return operations.views(tx, tx.rows(agents, host=router.host, agent_type=L3))


# -- helpers -------------------------------------------------------------------------------------------------------


def _usable(tx: Tx, id: str) -> Row:
    agent = find_agent(tx, id)
    if agent.agent_type != L3 or not agent.admin_state_up:
        raise NotFound(f"Agent {id} is not a L3 Agent or has been disabled", kind="InvalidL3Agent")
    return agent


def _hosted(tx: Tx, router: Row) -> Conflict:
    other = tx.get(agents, host=router.host, agent_type=L3)
    where = other.id if other else f"of host {router.host}"
    return Conflict(f"The router {router.id} has been already hosted by the L3 Agent {where}.", kind="RouterHostedByL3Agent")


def _move(tx: Tx, router: Row, host: str | None) -> None:
    """Have a router live on a host, or on none. What hangs on it is down until its host has made it."""
    f = floatingips.c
    legs = sa.and_(ports.c.device_id == router.id, ports.c.device_owner.in_((INTERFACE, GATEWAY)))
    tx.execute(routers.update().where(routers.c.id == router.id).values(host=host))
    tx.execute(ports.update().where(legs).values(status="DOWN"))
    tx.execute(floatingips.update().where(f.router_id == router.id).values(status="DOWN"))
    tx.nudge("network")
