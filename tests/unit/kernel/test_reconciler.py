"""A reconciler ends when it is told to, whatever else happens in that moment."""

from __future__ import annotations

import asyncio
import types
import typing as t

import pytest

from cumulet.kernel.bus.local import LocalBus
from cumulet.kernel.runtime import Runtime
from cumulet.kernel.work import RECONCILERS, Reconciler


class Counting(Reconciler):
    name = "counting"
    nudged_by = ("counted",)
    rounds = 0

    async def run_once(self) -> None:
        self.rounds += 1


RECONCILERS.remove(Counting)  # none of the cloud's


@pytest.mark.parametrize("later", range(8))
def test_one_that_is_nudged_as_it_is_told_to_end(later: int):
    """later: turns of the loop between the two."""

    async def ends() -> bool:
        bus = LocalBus([])
        await bus.open()
        reconciler = Counting(t.cast(Runtime, types.SimpleNamespace(bus=bus)))
        running = asyncio.create_task(reconciler.run())
        while not reconciler.rounds:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        bus.nudge("counted")
        for _ in range(later):
            await asyncio.sleep(0)
        running.cancel()
        done, left = await asyncio.wait([running], timeout=5)
        for task in left:
            task.cancel()
        await bus.close()
        return bool(done)

    assert asyncio.run(ends())
