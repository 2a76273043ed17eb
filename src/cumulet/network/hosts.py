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
from .agents import heard
from .networks import DHCP_OWNER
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
    heard(tx, host)
    tx.nudge("network")


def _alive(tx: Tx, hosts: list[str]) -> None:
    for some in chunks(hosts):
        tx.execute(network_hosts.update().where(network_hosts.c.host.in_(some)).values(last_seen=clock.now()))
    for host in hosts:
        heard(tx, host)


# -- which hosts there are -----------------------------------------------------------------------------------------


def live_hosts(tx: Tx) -> list[Row]:
    """The hosts that were heard of lately, the longest known first."""
    return tx.all(_live(network_hosts).order_by(network_hosts.c.created_at, network_hosts.c.host))


def homeless(tx: Tx) -> bool:
    """Whether a router or a network's DHCP is on no live host."""
    return any(tx.first(sa.select(of.c.host).where(without).limit(1)) is not None for of, without in _homeless())


def place(tx: Tx) -> None:
    """Give each router and each network's DHCP that is on no live host a place on the first live one. They stay where
    they are while their host lives."""
    live = live_hosts(tx)
    if live:
        for of, without in _homeless():
            tx.execute(of.update().where(without).values(host=live[0].host))
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


def _live(*columns: t.Any) -> sa.Select:
    return sa.select(*columns).where(network_hosts.c.last_seen >= clock.now() - SILENCE)


def _homeless() -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    live = _live(network_hosts.c.host)
    return [
        (routers, routers.c.host.not_in(live)),
        (ports, sa.and_(ports.c.device_owner == DHCP_OWNER, ports.c.host.not_in(live))),
    ]
