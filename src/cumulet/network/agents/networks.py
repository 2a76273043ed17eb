"""Which DHCP agent a network's DHCP lives with. A network's DHCP has one place; an administrator moves it."""

from __future__ import annotations

import sqlalchemy as sa
from starlette.responses import Response

from ...kernel.db import Row, Tx
from ...kernel.http import Conflict, NotFound, Request
from ..bodies import Json
from ..hosts import silent_since
from ..networks import DHCP_OWNER, Network, find_network, views
from ..ports.dhcp import dhcp_port, move, withdraw
from ..service import ADMIN, api
from ..tables import networks, ports
from . import operations
from .operations import Agent
from .rows import DHCP, agents, find_agent
from .wire import accepted, named

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_dhcp-networks", ADMIN, "List the networks that a DHCP agent hosts.")
CREATE = api.rule("create_dhcp-network", ADMIN, "Give a network to a DHCP agent.")
DELETE = api.rule("delete_dhcp-network", ADMIN, "Take a network from a DHCP agent.")
AGENTS = api.rule("get_dhcp-agents", ADMIN, "List the DHCP agents that host a network.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/agents/{id}/dhcp-networks", policy=GET, reply="networks", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[Network]:
    """List the networks that a DHCP agent hosts."""
    agent = find_agent(tx, id)
    if agent.agent_type != DHCP:
        return []
    here = sa.select(ports.c.network_id).where(ports.c.host == agent.host, ports.c.device_owner == DHCP_OWNER)
    return views(tx, request, tx.all(sa.select(networks).where(networks.c.id.in_(here)).order_by(networks.c.id)))


@api.op("POST", "/agents/{id}/dhcp-networks", policy=CREATE, status=201, errors=(404, 409))
def add(tx: Tx, request: Request, id: str, body: Json) -> Response:
    """Give a network to a DHCP agent, whichever had it before."""
    network = find_network(tx, request.context, named(body, "network_id"))
    agent = _usable(tx, id)
    port = dhcp_port(tx, network.id)
    if port is not None and port.host == agent.host:
        raise Conflict(f"The network {network.id} has been already hosted by the DHCP Agent {id}.", kind="NetworkHostedByDHCPAgent")
    if since := silent_since(tx, agent.host):
        raise Conflict(
            f"Failed scheduling network {network.id} to the DHCP Agent {id}. Its host {agent.host} was last heard of at {since}."
        )
    move(tx, network, agent.host)
    return accepted()


@api.op("DELETE", "/agents/{id}/dhcp-networks/{network_id}", policy=DELETE, status=204, errors=(404, 409))
def remove(tx: Tx, request: Request, id: str, network_id: str) -> None:
    """Take a network from its DHCP agent. It has no DHCP then, until it is given to an agent."""
    agent = find_agent(tx, id)
    port = dhcp_port(tx, network_id)
    if agent.agent_type != DHCP or port is None or port.host != agent.host:
        raise Conflict(f"The network {network_id} is not hosted by the DHCP Agent {id}.", kind="NetworkNotHostedByDhcpAgent")
    withdraw(tx, port)


@api.op("GET", "/networks/{id}/dhcp-agents", policy=AGENTS, reply="agents", errors=(404,))
def hosting(tx: Tx, request: Request, id: str) -> list[Agent]:
    """List the DHCP agents that host a network: one, or none."""
    port = dhcp_port(tx, find_network(tx, request.context, id).id)
    return operations.views(tx, tx.rows(agents, host=port.host, agent_type=DHCP) if port else [])


# -- helpers -------------------------------------------------------------------------------------------------------


def _usable(tx: Tx, id: str) -> Row:
    agent = find_agent(tx, id)
    if agent.agent_type != DHCP or not agent.admin_state_up:
        raise NotFound(f"Agent {id} is not a valid DHCP Agent or has been disabled.", kind="InvalidDHCPAgent")
    return agent
