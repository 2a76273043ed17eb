"""Hosts: which there are, what was last applied on each, and which of them routers and DHCP live on."""

from __future__ import annotations

import datetime as dt
import time
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.bus import Event
from ..kernel.db import Row, Tx, table
from ..kernel.runtime import Runtime
from .agents.rows import DHCP, KINDS, L3, agents, disabled
from .networks import DHCP_OWNER
from .ports.dhcp import RESERVED
from .routers.rows import routers
from .tables import ports

network_hosts = table(
    "network_hosts",
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("tunnel_ip", sa.String(64), nullable=False),
    sa.Column("last_seen", sa.DateTime, nullable=False),
    sa.Column("said_hello", sa.DateTime, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False, default=0),
    sa.Column("applied_generation", sa.BigInteger, nullable=False, default=0),
    sa.Column("applied_digest", sa.String(64), nullable=False, default=""),
    sa.Column("applied_at", sa.DateTime),
    id=False,
)
"""`generation` is the number last taken for a description, `applied_*` tell of the newest that the host has made so: its
digest is "" while something of it failed, or the host has started anew. While the two numbers differ, some process may
still be sending."""

SILENCE = dt.timedelta(seconds=60)
"""How long after its last word a host counts as alive."""
CHUNK = 500

# -- what hosts tell -----------------------------------------------------------------------------------------------


async def host_event(runtime: Runtime, event: Event) -> None:
    """Take in a host's `hello`, or the `alive` of all hosts behind an agent."""
    if event.name == "hello" and "network" in event.data:
        tunnel_ip = str(event.data["network"].get("tunnel_address") or "")
        await runtime.db.write(lambda tx: _hello(tx, event.host, tunnel_ip))
    elif event.name == "alive":
        hosts = [str(host) for host in event.data.get("hosts", [event.host])]
        await runtime.db.write(lambda tx: _alive(tx, hosts))


def _hello(tx: Tx, host: str, tunnel_ip: str) -> None:
    now = clock.now()
    values = {"tunnel_ip": tunnel_ip, "last_seen": now, "said_hello": now, "applied_digest": ""}
    if not tx.update(network_hosts, {"host": host}, **values):
        tx.insert(network_hosts, host=host, **values)
    _introduce(tx, [host])
    tx.nudge("network")


def _alive(tx: Tx, hosts: list[str]) -> None:
    for some in chunks(hosts):
        tx.execute(network_hosts.update().where(network_hosts.c.host.in_(some)).values(last_seen=clock.now()))
        _introduce(tx, some)


def _introduce(tx: Tx, hosts: t.Sequence[str]) -> None:
    """List every kind of agent for these hosts, where they have said hello; one statement where all are listed."""
    h, a = network_hosts.c, agents.c
    whole = sa.select(a.host).where(a.host.in_(hosts)).group_by(a.host).having(sa.func.count() == len(KINDS))
    lacking = [row.host for row in tx.all(sa.select(h.host).where(h.host.in_(hosts), h.host.not_in(whole)).order_by(h.host))]
    listed = {tuple(row) for row in tx.all(sa.select(a.host, a.agent_type).where(a.host.in_(lacking)))} if lacking else set()
    tx.insert_many(agents, [
        {"host": host, "agent_type": kind, "description": "", "admin_state_up": True}
        for host in lacking for kind in KINDS if (host, kind) not in listed
    ])  # fmt: skip


# -- which hosts there are -----------------------------------------------------------------------------------------


def live_hosts(tx: Tx) -> list[Row]:
    """The hosts that were heard of lately, the longest known first."""
    return tx.all(live().order_by(network_hosts.c.created_at, network_hosts.c.host))


def live(*columns: str) -> sa.Select:
    """Selects these columns, or all, of the hosts that were heard of lately."""
    chosen = [network_hosts.c[name] for name in columns] or [network_hosts]
    return sa.select(*chosen).where(network_hosts.c.last_seen >= clock.now() - SILENCE)


def silent_since(tx: Tx, host: str) -> dt.datetime | None:
    """When a host was last heard of, if that is too long ago."""
    seen = tx.scalar(sa.select(network_hosts.c.last_seen).where(network_hosts.c.host == host))
    return seen if clock.now() - seen > SILENCE else None


def homeless(tx: Tx) -> bool:
    """Whether a router or a network's DHCP is on no live host, and no administrator keeps it from all."""
    return any(tx.first(sa.select(of.c.host).where(without).limit(1)) is not None for _, of, without in _homeless())


def place(tx: Tx) -> None:
    """Give each of these a place on the first live host whose agent takes more. They stay where they are while their host
    lives."""
    for kind, of, without in _homeless():
        takers = live("host").where(network_hosts.c.host.not_in(disabled(kind)))
        host = tx.scalar(takers.order_by(network_hosts.c.created_at, network_hosts.c.host).limit(1))
        if host is not None and tx.execute(of.update().where(without).values(host=host)).rowcount:
            tx.nudge("network")


def known_hosts(tx: Tx, hosts: t.Sequence[str]) -> dict[str, Row]:
    """What is known of these hosts."""
    return {row.host: row for row in tx.all(sa.select(network_hosts).where(network_hosts.c.host.in_(list(hosts))))}


def take_number(tx: Tx, hosts: t.Sequence[str]) -> int:
    """A generation for descriptions of these hosts, beyond all that were taken before.

    Whoever describes a host does so after this has committed. So a description holds everything that was committed
    before its number was taken, and of two the one with the higher number holds all that was committed before the other
    was begun: an agent that keeps to the highest never goes back behind what somebody waited for, whichever process's
    description comes first. Numbers are moments, to be beyond those of a database that was lost.
    """
    newest = tx.scalar(sa.select(sa.func.max(network_hosts.c.generation))) or 0
    number = max(time.time_ns(), newest + 1)
    tx.execute(network_hosts.update().where(network_hosts.c.host.in_(list(hosts))).values(generation=number))
    return number


def chunks(items: t.Sequence[str]) -> t.Iterator[t.Sequence[str]]:
    """Lists short enough for one statement."""
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))


def _homeless() -> list[tuple[str, sa.Table, sa.ColumnElement[bool]]]:
    """What has to be on a live host, by the kind of its agent."""
    away = ports.c.host.not_in(live("host"))
    return [
        (L3, routers, routers.c.host.not_in(live("host"))),
        (DHCP, ports, sa.and_(ports.c.device_owner == DHCP_OWNER, ports.c.device_id != RESERVED, away)),
    ]
