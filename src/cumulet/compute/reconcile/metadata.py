"""Keeping what guests read of themselves true when somebody else changes it: floating IPs come and go without compute."""

from __future__ import annotations

import sqlalchemy as sa

from ... import network
from ...kernel.db import Tx
from ...kernel.work import Reconciler
from ...kernel.work.tasks import LIVE, tasks
from ..servers.tables import servers
from ..workflows.tell import TellServer

Addresses = dict[str, tuple[str, ...]]
"""Server -> the floating IPs that lead to it."""


class GuestMetadata(Reconciler):
    """Tells hosts of servers whose floating IPs are others than when it last looked."""

    name = "guest-metadata"
    interval = 60.0
    nudged_by = ("network",)
    _told: Addresses | None = None

    async def run_once(self) -> None:
        now = await self.runtime.db.read(_addresses)
        before, self._told = (now if self._told is None else self._told), now
        changed = [id for id, found in now.items() if found != before.get(id, ())]
        if changed:
            await self.runtime.db.write(lambda tx: _tell(tx, changed))


def _addresses(tx: Tx) -> Addresses:
    ids = [row.id for row in tx.all(sa.select(servers.c.id).where(servers.c.host.is_not(None)))]
    cards = network.interfaces(tx, ids)
    return {id: tuple(sorted(floating for card in cards[id] for ip in card.addresses for floating in ip.floating)) for id in ids}


def _tell(tx: Tx, ids: list[str]) -> None:
    """What is being worked on is told by that work, or by the next."""
    for row in tx.all(sa.select(servers.c.id).where(servers.c.id.in_(ids))):
        if not tx.first(
            sa.select(tasks.c.id).where(tasks.c.subject == row.id, tasks.c.saga == TellServer.__name__, tasks.c.status == LIVE)
        ):
            TellServer.start(tx, row.id)
