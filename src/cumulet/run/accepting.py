"""Taking connections from a socket that several processes have: each takes its share, whoever was woken first."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import socket
import typing as t

FIRST = 0.002
"""Seconds for which a process that has more connections than another lets that one go first."""
FULL = 0.1
"""Seconds after which it is tried again where the system has no descriptor left."""


class Shares:
    """How many connections each of some processes has. It is made before they are forked, which have it in common."""

    def __init__(self, processes: int):
        self._counts = memoryview(mmap.mmap(-1, 4 * max(1, processes))).cast("I")

    def crowded(self, process: int, connections: int) -> bool:
        """Whether a process, which has so many now, has more than another had when it was last asked."""
        self._counts[process] = connections
        return connections > min(self._counts)


class Accepting:
    """One process's part of it. `count` tells how many connections it has; `make` makes what one is handed to."""

    def __init__(self, listening: socket.socket, crowded: t.Callable[[int], bool], count: t.Callable[[], int],
                 make: t.Callable[[], asyncio.Protocol]):  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self._listening, self._crowded, self._count, self._make = listening, crowded, count, make
        self._handing: set[asyncio.Task] = set()
        self._waiting: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._loop.add_reader(listening, self._look)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._listening)
        if self._waiting:
            self._waiting.cancel()

    def _look(self) -> None:
        if self._crowded(self._count() + len(self._handing)):
            self._later(FIRST)
        else:
            self._take()

    def _later(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._waiting = self._loop.call_later(seconds, self._again)

    def _again(self) -> None:
        self._loop.add_reader(self._listening, self._look)
        self._take()

    def _take(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process had it, or its client is gone
        except OSError:
            self._later(FULL)
            return
        handing = self._loop.create_task(self._hand(connection))
        self._handing.add(handing)
        handing.add_done_callback(self._handing.discard)
        self._crowded(self._count() + len(self._handing))

    async def _hand(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._make, connection)
