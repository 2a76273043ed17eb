"""The hosts that have a cache of images, and asking them."""

from __future__ import annotations

import asyncio
import datetime as dt
import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel import clock
from ...kernel.bus import AgentError, Event
from ...kernel.db import Tx, table
from ...kernel.log import get_logger
from ...kernel.runtime import Runtime
from ..drivers.base import CachedFile, Removed

log = get_logger("image")

image_hosts = table(
    "image_hosts",
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("last_seen", sa.DateTime, nullable=False),
    id=False,
)

SILENCE = dt.timedelta(seconds=60)
"""How long after its last word a host counts as alive."""
PATIENCE = 20.0
"""Seconds that a host has to say what it keeps."""
CHUNK = 500


async def host_event(runtime: Runtime, event: Event) -> None:
    """Take in that hosts are there."""
    if event.name == "hello":
        await runtime.db.write(lambda tx: _seen(tx, event.host))
        runtime.bus.nudge("image-cache")
    elif event.name == "alive":
        await runtime.db.write(lambda tx: _alive(tx, [str(host) for host in event.data.get("hosts", [event.host])]))


def live_hosts(tx: Tx) -> list[str]:
    """The hosts that were heard of lately."""
    c = image_hosts.c
    return [row.host for row in tx.all(sa.select(c.host).where(c.last_seen >= clock.now() - SILENCE).order_by(c.host))]


async def cached(runtime: Runtime) -> dict[str, list[CachedFile]]:
    """What each live host keeps; those that do not answer are left out."""
    said = await _ask(runtime, "image.cached", {})
    return {host: msgspec.convert(files, list[CachedFile]) for host, files in said.items()}


async def remove(runtime: Runtime, command: str, **arguments: t.Any) -> Removed:
    """Have all live hosts remove something; what they did remove together."""
    said = [msgspec.convert(one, Removed) for one in (await _ask(runtime, command, arguments)).values()]
    return Removed(files=sum(one.files for one in said), bytes=sum(one.bytes for one in said))


async def _ask(runtime: Runtime, command: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    hosts = await runtime.db.read(live_hosts)
    said = await asyncio.gather(*(_one(runtime, host, command, arguments) for host in hosts))
    return {host: answer for host, answer in zip(hosts, said, strict=True) if answer is not None}


async def _one(runtime: Runtime, host: str, command: str, arguments: dict[str, t.Any]) -> t.Any:
    try:
        return await runtime.bus.call(host, command, arguments, timeout=PATIENCE)
    except AgentError as error:
        log.warning("a host's image cache could not be reached", host=host, command=command, error=str(error))
        return None


def _seen(tx: Tx, host: str) -> None:
    if not tx.update(image_hosts, {"host": host}, last_seen=clock.now()):
        tx.insert(image_hosts, host=host, last_seen=clock.now())


def _alive(tx: Tx, hosts: list[str]) -> None:
    for first in range(0, len(hosts), CHUNK):
        some = image_hosts.c.host.in_(hosts[first : first + CHUNK])
        tx.execute(sa.update(image_hosts).where(some).values(last_seen=clock.now()))
