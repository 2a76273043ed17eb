"""Agents: what serves the networks on each host, as the hosts report themselves; and the zones that they are in."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, Page, Request, UnsetType, View
from .bodies import Attributes, Json, Text, one
from .networks import ZONE
from .resource import find, listed
from .service import ADMIN, READER, api

# -- table ---------------------------------------------------------------------------------------------------------

agents = table(
    "network_agents",
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("agent_type", sa.String(64), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("heard_at", sa.DateTime, nullable=False),
    unique={("host", "agent_type"): "Host {host} has a {agent_type} already."},
)

KINDS = {
    "DHCP agent": ("cumulet-agent", "dhcp_agent"), "L3 agent": ("cumulet-agent", "l3_agent"),
    "Linux bridge agent": ("cumulet-agent", "N/A"), "Metadata agent": ("cumulet-agent", "N/A"),
}  # fmt: skip
"""What every host's agent does, by the names that the API has for it -> binary, topic."""
SILENCE = dt.timedelta(seconds=75)
"""How long after its last word an agent counts as alive."""

# -- wire ----------------------------------------------------------------------------------------------------------


class AgentUpdate(Attributes, kw_only=True):
    admin_state_up: bool | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class Agent(View, kw_only=True):
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
def index(tx: Tx, request: Request) -> Page:
    """List the agents. Others than administrators see none."""
    seen = sa.true() if request.allows(GET) else sa.false()
    return listed(tx, request, agents, "agents", lambda rows: [_view(row) for row in rows], visible=seen,
                  special={"alive": _alive, "agent_type": _of_type})  # fmt: skip


@api.op("GET", "/agents/{id}", policy=GET, reply="agent", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Agent:
    """Show an agent."""
    return _view(find(tx, agents, id, "Agent", sa.true()))


@api.op("PUT", "/agents/{id}", policy=UPDATE, reply="agent", errors=(404,))
def update(tx: Tx, request: Request, id: str, body: Json) -> Agent:
    """Change an agent's description and administrative state."""
    find(tx, agents, id, "Agent", sa.true())
    tx.update(agents, id, **one(body, "agent", AgentUpdate).given())
    return _view(t.cast(Row, tx.get(agents, id=id)))


@api.op("DELETE", "/agents/{id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Forget an agent; it comes back when its host reports."""
    tx.delete(agents, id=find(tx, agents, id, "Agent", sa.true()).id)


@api.op("GET", "/availability_zones", policy=ZONES, reply="availability_zones")
def zones(tx: Tx, request: Request) -> list[Json]:
    """List the availability zones of networks and routers."""
    return [{"name": ZONE, "resource": resource, "state": "available"} for resource in ("network", "router")]


# -- for reconcilers -----------------------------------------------------------------------------------------------


def heard(tx: Tx, *hosts: str) -> None:
    """Note that these hosts have reported; three statements for any number (of at most some hundred)."""
    now, here = clock.now(), agents.c.host.in_(hosts)
    tx.execute(agents.update().where(here).values(heard_at=now))
    known = {row.host for row in tx.all(sa.select(agents.c.host).where(here).distinct())}
    tx.insert_many(agents, [
        {"host": host, "agent_type": kind, "description": "", "admin_state_up": True, "heard_at": now}
        for host in dict.fromkeys(hosts) if host not in known for kind in KINDS
    ])  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------


def _alive(values: list[str]) -> sa.ColumnElement[bool]:
    since = clock.now() - SILENCE
    wanted = {value.lower() in ("true", "1") for value in values}
    return sa.or_(*(agents.c.heard_at >= since if alive else agents.c.heard_at < since for alive in wanted))


def _of_type(values: list[str]) -> sa.ColumnElement[bool]:
    return sa.func.lower(agents.c.agent_type).in_([value.lower() for value in values])


def _view(row: Row) -> Agent:
    binary, topic = KINDS[row.agent_type]
    form = "%Y-%m-%d %H:%M:%S"
    return Agent(
        id=row.id, agent_type=row.agent_type, binary=binary, topic=topic, host=row.host, availability_zone=ZONE,
        admin_state_up=row.admin_state_up, alive=clock.now() - row.heard_at < SILENCE, description=row.description,
        created_at=row.created_at.strftime(form), started_at=row.created_at.strftime(form),
        heartbeat_timestamp=row.heard_at.strftime(form),
    )  # fmt: skip
