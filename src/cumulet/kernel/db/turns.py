"""Turns at writing. On SQLite, which has one writer at a time, the processes of a cloud queue at a lock.

On PostgreSQL they write side by side while that goes well, and one after another once transactions lost to each other.
Serialisable transactions that want the same rows cannot all commit. One that lost goes again in a lane in which there is
one at a time in the whole cloud, and for a moment all that begin in this process go there at once: what contends is done
as fast as one can do it, and nobody loses for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import typing as t
from pathlib import Path

import sqlalchemy as sa

CALM = 2.0
"""Seconds without a loser after which transactions run side by side again."""
LANE = 0x63756D75
"""The number of the lane among the database's advisory locks."""


class Turns:
    """The turns of one process. The lane is a lock of the database, held by a transaction that does nothing else: it is
    free again when its process ends, and may be behind a pooler of connections."""

    def __init__(self, engine: sa.Engine):
        self._engine = engine
        self._lane = threading.Lock()
        self._crowded = 0.0

    @contextlib.contextmanager
    def take(self) -> t.Iterator[None]:
        """Wait until a transaction may begin, and keep the turn while it runs."""
        if time.monotonic() >= self._crowded:
            yield
            return
        with self._lane, self._engine.connect().execution_options(isolation_level="READ COMMITTED") as guard:
            guard.execute(sa.select(sa.func.pg_advisory_xact_lock(LANE)))
            yield

    def lost(self) -> None:
        """A transaction was taken back for another's sake."""
        self._crowded = time.monotonic() + CALM


class Lane:
    """The turns of all processes that write to a database file. They wait at a file beside it, and the next one goes on as soon as
    the one before it is done; those who wait at the database itself sleep, and look again now and then."""

    def __init__(self, database: Path):
        self._path = database.with_name(database.name + "-turn")

    @contextlib.contextmanager
    def take(self) -> t.Iterator[None]:
        """Wait until a transaction may begin, and keep the turn while it runs."""
        turn = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield
        finally:
            os.close(turn)

    def lost(self) -> None:
        """A transaction was taken back for another's sake: that of a program that takes no turns, which is done by now."""
