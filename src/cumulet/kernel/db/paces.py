"""Which reads are so brief that handing them to another thread, and waiting for that, takes as long as they do."""

from __future__ import annotations

import time
import typing as t

from .transaction import Tx

BRIEF = 0.002
"""Seconds of processor time, for which everybody else in a process can wait."""
TRIED = 16
"""Reads of a kind that have to be brief, one after the other, before the next ones count as such."""
MOST = 4096
"""Kinds that are known at once. Clients have a part in what is a kind."""
Result = t.TypeVar("Result")


class Paces:
    """How long reads of each kind took lately."""

    def __init__(self):
        self._left: dict[t.Hashable, int] = {}

    def are_brief(self, kind: t.Hashable) -> bool:
        return self._left.get(kind) == 0

    def timed(self, kind: t.Hashable, fn: t.Callable[[Tx], Result], tx: Tx) -> Result:
        """Run `fn`, and remember how long it took. The time in which it has to wait for other threads of Python is not its own."""
        began = time.thread_time()
        result = fn(tx)
        if len(self._left) > MOST:
            self._left.clear()
        self._left[kind] = TRIED if time.thread_time() - began > BRIEF else max(0, self._left.get(kind, TRIED) - 1)
        return result
