"""Throwing away what has served its time: answers kept for repeated requests, records of work that ended."""

from __future__ import annotations

import datetime as dt

from ..kernel import clock
from ..kernel.http import idempotency
from ..kernel.work import Reconciler
from ..kernel.work.tasks import forget

KEEP_TASKS = dt.timedelta(days=14)
"""Servers' actions show the events of their work for as long."""


class Housekeeping(Reconciler):
    """Runs once an hour."""

    name = "housekeeping"
    interval = 3600.0

    async def run_once(self) -> None:
        await self.runtime.db.write(idempotency.forget)
        await self.runtime.db.write(lambda tx: forget(tx, clock.now() - KEEP_TASKS))
