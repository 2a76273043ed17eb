"""Agents as rows: which there are, and what an administrator says of them. When they were heard of, their host's row tells."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel.db import Row, Tx, table
from ..resource import find

agents = table(
    "network_agents",
    sa.Column("host", sa.String(255), sa.ForeignKey("network_hosts.host"), nullable=False),
    sa.Column("agent_type", sa.String(64), nullable=False),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    unique={("host", "agent_type"): "Host {host} has a {agent_type} already."},
)
"""One whose `admin_state_up` is false keeps what it hosts, and is given nothing more."""

DHCP, L3 = "DHCP agent", "L3 agent"
KINDS = {
    DHCP: ("cumulet-agent", "dhcp_agent"), L3: ("cumulet-agent", "l3_agent"),
    "Linux bridge agent": ("cumulet-agent", "N/A"), "Metadata agent": ("cumulet-agent", "N/A"),
}  # fmt: skip
"""What every host's agent does, by the names that the API has for it -> binary, topic."""


def find_agent(tx: Tx, id: str) -> Row:
    """The agent's row. Raises NotFound."""
    return find(tx, agents, id, "Agent", sa.true())


def disabled(kind: str) -> sa.Select:
    """The hosts whose agent of a kind is given nothing more."""
    return sa.select(agents.c.host).where(agents.c.agent_type == kind, ~agents.c.admin_state_up)
