"""Reconcilers: loops that compare what should be with what is, and repair or report. They take no input."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from ..log import get_logger
from ..metrics import RECONCILED

if t.TYPE_CHECKING:
    from ..runtime import Runtime

log = get_logger("reconcile")
RECONCILERS: list[type[Reconciler]] = []


class Reconciler:
    """A timer, and nudges that make it come early. `interval` is in seconds."""

    name: t.ClassVar[str]
    interval: t.ClassVar[float] = 60.0
    nudged_by: t.ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        RECONCILERS.append(cls)

    def __init__(self, runtime: Runtime):
        self.runtime = runtime

    async def run_once(self) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Run until cancelled. A round that fails is logged and the next one comes all the same."""
        wake = asyncio.Event()
        for topic in self.nudged_by:
            self.runtime.bus.on_nudge(topic, wake.set)
        while True:
            try:
                await self.run_once()
                RECONCILED.labels(self.name, "done").inc()
            except Exception:
                RECONCILED.labels(self.name, "failed").inc()
                log.exception("reconciler failed", reconciler=self.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):
                    await wake.wait()
            wake.clear()
