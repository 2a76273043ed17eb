"""Images that hosts are to have before a server asks for them."""

from __future__ import annotations

import asyncio
import datetime as dt
import typing as t

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.bus import AgentError
from ...kernel.db import Row, Tx, table
from ...kernel.log import get_logger
from ...kernel.work import Reconciler
from ..images import images
from .bring import origin, source
from .hosts import PATIENCE, cached, live_hosts, remove

log = get_logger("image")

wishes = table(
    "image_cache_wishes",
    sa.Column("image_id", sa.String(64), sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("ends_at", sa.DateTime, nullable=False),
    sa.Column("due_at", sa.DateTime, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.Text),
    unique={("image_id", "host"): "Image {image_id} is wanted on host {host} already."},
)
"""An image that a host is to have in its cache: the row goes when it has, or at `ends_at`. `error` says why it has not yet."""

LASTS = dt.timedelta(hours=2)
SOON, PAUSE, PAUSE_MAX = 1.0, 5.0, 300.0
"""Seconds until a host is asked again that has begun, and that has failed: longer each time."""


def precache(tx: Tx, image_ids: t.Collection[str], hosts: t.Collection[str]) -> None:
    """Want these images on these hosts. A wish that is there already begins anew."""
    now = clock.now()
    for image_id in image_ids:
        values = {"ends_at": now + LASTS, "due_at": now, "tries": 0, "error": None}
        tx.execute(sa.update(wishes).where(wishes.c.image_id == image_id, wishes.c.host.in_(hosts)).values(**values))
        there = {row.host for row in tx.rows(wishes, image_id=image_id)}
        tx.insert_many(wishes, [{"image_id": image_id, "host": host, **values} for host in hosts if host not in there])
    tx.nudge("image-cache")


def unwanted(tx: Tx, image_id: str | None = None) -> int:
    """Want an image, or any, no longer on any host; how many images that were."""
    where = {"image_id": image_id} if image_id else {}
    images_before = {row.image_id for row in tx.rows(wishes, **where)}
    tx.delete(wishes, **where)
    return len(images_before)


class Precaching(Reconciler):
    """Has hosts fetch what is wanted on them. It does not wait for that, but looks again soon."""

    name = "image-cache"
    interval = 60.0
    nudged_by = ("image-cache",)

    async def run_once(self) -> None:
        await self.runtime.db.write(_end)
        due = await self.runtime.db.read(_due)
        pauses = [pause for pause in await asyncio.gather(*(self._grant(wish) for wish in due)) if pause is not None]
        if pauses:
            asyncio.get_running_loop().call_later(min(pauses), self.runtime.bus.nudge, "image-cache")

    async def _grant(self, wish: Row) -> float | None:
        """Seconds after which it is to be looked at again; None where it need not be."""
        wanted = await self.runtime.db.read(lambda tx: source(tx, self.runtime, wish.image_id))
        if wanted is None:
            await self.runtime.db.write(lambda tx: tx.delete(wishes, id=wish.id))
            return None
        try:
            arguments = {"image": wanted, "origin": origin(self.runtime, wanted), "cached": True}
            if await self.runtime.bus.call(wish.host, "image.want", arguments, timeout=PATIENCE):
                await self.runtime.db.write(lambda tx: tx.delete(wishes, id=wish.id))
                return None
            return SOON
        except AgentError as error:
            return await self._later(wish, str(error))

    async def _later(self, wish: Row, why: str) -> float:
        log.warning("an image is not in a host's cache yet", image=wish.image_id, host=wish.host, error=why)
        pause = min(PAUSE_MAX, PAUSE * 2 ** min(wish.tries, 10))
        due = clock.now() + dt.timedelta(seconds=pause)
        await self.runtime.db.write(lambda tx: tx.update(wishes, wish.id, due_at=due, tries=wish.tries + 1, error=why))
        return pause


class CachedLeftovers(Reconciler):
    """Removes from hosts what no image holds any longer, as far as no disk stands on it."""

    name = "image-cache-leftovers"
    interval = 600.0

    async def run_once(self) -> None:
        kept = {file.key for files in (await cached(self.runtime)).values() for file in files}
        known = await self.runtime.db.read(lambda tx: set(images_of(tx, kept)))
        if left := kept - known:
            await remove(self.runtime, "image.evict", keys=sorted(left))


def images_of(tx: Tx, keys: t.Collection[str]) -> dict[str, list[str]]:
    """Key of a cached file -> the images whose data it is. Asked for after hosts have said what they keep: an image has its record
    before any host has its data."""
    found: dict[str, list[str]] = {}
    for row in tx.among(images.c.os_hash_value, keys):
        found.setdefault(row.os_hash_value, []).append(row.id)
    named = {key.removeprefix("image-"): key for key in keys if key.startswith("image-")}
    for row in tx.among(images.c.id, named):
        found.setdefault(named[row.id], []).append(row.id)
    return found


def _due(tx: Tx) -> list[Row]:
    """What may be granted now: hosts that are away are not asked."""
    hosts = set(live_hosts(tx))
    return [row for row in tx.all(sa.select(wishes).where(wishes.c.due_at <= clock.now())) if row.host in hosts]


def _end(tx: Tx) -> None:
    """Wishes that could not be granted in their time."""
    for wish in tx.all(sa.select(wishes).where(wishes.c.ends_at < clock.now())):
        why = wish.error or "the host was away, or too slow"
        log.error("an image did not get into a host's cache", image=wish.image_id, host=wish.host, error=why)
        tx.delete(wishes, id=wish.id)
