"""What compute hears from hosts: that they are there, and what their guests did by themselves."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.bus import Event
from ..kernel.db import Tx
from ..kernel.runtime import Runtime
from .ec2 import PASSWORD_MAX
from .hosts import compute_services, host_seen, service_seen
from .reconcile.power import settle
from .servers.tables import servers
from .workflows.tell import TellServer


async def host_event(runtime: Runtime, event: Event) -> None:
    """Take in what a host says."""
    if event.name == "hello":
        await runtime.db.write(lambda tx: _hello(tx, runtime, event))
        runtime.bus.nudge("power")
    elif event.name == "alive":
        await runtime.db.write(lambda tx: _alive(tx, event.data["hosts"]))
    elif event.name == "password":
        await runtime.db.write(lambda tx: _password(tx, event.data["id"], event.data["password"]))
    elif event.name == "power":
        await runtime.db.write(lambda tx: settle(tx, event.host, event.data["id"], event.data["power"]))


def _hello(tx: Tx, runtime: Runtime, event: Event) -> None:
    host_seen(tx, runtime.config, event.host, event.data["compute"])
    for binary in ("nova-conductor", "nova-scheduler"):
        service_seen(tx, "cumulet", binary)


def _password(tx: Tx, id: str, password: str) -> None:
    """Keep what a guest posted, the first time."""
    if tx.update(servers, {"id": id, "admin_password": None}, admin_password=password[:PASSWORD_MAX]):
        TellServer.start(tx, id)


def _alive(tx: Tx, hosts: list[str]) -> None:
    named = compute_services.c.host.in_([*hosts, "cumulet"])
    tx.execute(sa.update(compute_services).where(named).values(last_seen=clock.now()))
