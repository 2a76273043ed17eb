"""The operations on agents, and the zones that they are in."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Page, Request, UnsetType, View
from ..bodies import Attributes, Json, Text, one
from ..hosts import SILENCE, known_hosts, live
from ..networks import ZONE
from ..resource import Filter, listed
from ..service import ADMIN, READER, api
from .rows import KINDS, agents, find_agent

# -- wire ----------------------------------------------------------------------------------------------------------


class AgentUpdate(Attributes, kw_only=True):
    admin_state_up: bool | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET


class Agent(View, kw_only=True):
    """`started_at` is when the host's agent said hello, `heartbeat_timestamp` when it was last heard of."""

    id: str
    agent_type: str
    binary: str
    topic: str
    host: str
    availability_zone: str
    admin_state_up: bool
    alive: bool
    created_at: str
    started_at: str
    heartbeat_timestamp: str
    description: str
    configurations: Json = {}
    resource_versions: Json = {}
    resources_synced: None = None


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_agent", ADMIN, "Show the agents.")
UPDATE = api.rule("update_agent", ADMIN, "Change an agent.")
DELETE = api.rule("delete_agent", ADMIN, "Delete an agent.")
ZONES = api.rule("get_availability_zone", READER, "List the availability zones.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/agents", policy="regular_user", reply="agents")
def index(tx: Tx, request: Request) -> Page[Agent]:
    """List the agents. Others than administrators see none."""
    seen = sa.true() if request.allows(GET) else sa.false()
    special = {"alive": _alive, "agent_type": _of_type, "binary": _of_kind(0), "topic": _of_kind(1), "availability_zone": _of_zone}
    return listed(tx, request, agents, "agents", lambda rows: views(tx, rows), visible=seen, special=special)


@api.op("GET", "/agents/{id}", policy=GET, reply="agent", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Agent:
    """Show an agent."""
    return views(tx, [find_agent(tx, id)])[0]


@api.op("PUT", "/agents/{id}", policy=UPDATE, reply="agent", errors=(404,))
def update(tx: Tx, request: Request, id: str, body: Json) -> Agent:
    """Change an agent's description and administrative state. One that is down keeps what it hosts, and is given nothing more."""
    find_agent(tx, id)
    given = one(body, "agent", AgentUpdate).given()
    if "description" in given:
        given["description"] = given["description"] or ""
    tx.update(agents, id, **given)
    return views(tx, [find_agent(tx, id)])[0]


@api.op("DELETE", "/agents/{id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Forget an agent. That of a host that lives is back with its host's next word."""
    tx.delete(agents, id=find_agent(tx, id).id)


@api.op("GET", "/availability_zones", policy=ZONES, reply="availability_zones")
def zones(tx: Tx, request: Request) -> list[Json]:
    """List the availability zones of networks and routers."""
    return [{"name": ZONE, "resource": resource, "state": "available"} for resource in ("network", "router")]


# -- views ---------------------------------------------------------------------------------------------------------


def views(tx: Tx, rows: t.Sequence[Row]) -> list[Agent]:
    """The agents as the API shows them, each with what its host tells."""
    hosts = known_hosts(tx, [row.host for row in rows])
    return [_view(row, hosts[row.host]) for row in rows]


def _view(row: Row, host: Row) -> Agent:
    binary, topic = KINDS[row.agent_type]
    form = "%Y-%m-%d %H:%M:%S"
    return Agent(
        id=row.id, agent_type=row.agent_type, binary=binary, topic=topic, host=row.host, availability_zone=ZONE,
        admin_state_up=row.admin_state_up, alive=clock.now() - host.last_seen <= SILENCE, description=row.description,
        created_at=row.created_at.strftime(form), started_at=host.said_hello.strftime(form),
        heartbeat_timestamp=host.last_seen.strftime(form),
    )  # fmt: skip


# -- filters -------------------------------------------------------------------------------------------------------


def _alive(values: list[str]) -> sa.ColumnElement[bool]:
    here = agents.c.host.in_(live("host"))
    return sa.or_(*(here if value.lower() in ("true", "1") else ~here for value in values))


def _of_type(values: list[str]) -> sa.ColumnElement[bool]:
    return sa.func.lower(agents.c.agent_type).in_([value.lower() for value in values])


def _of_kind(position: int) -> Filter:
    """By the agents' binaries (0) or topics (1), which go with their types."""
    return lambda values: agents.c.agent_type.in_([kind for kind, names in KINDS.items() if names[position] in values])


def _of_zone(values: list[str]) -> sa.ColumnElement[bool]:
    return sa.true() if ZONE in values else sa.false()
