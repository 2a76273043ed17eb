"""Telling events: a file of JSON lines on one machine, or notifications on RabbitMQ as released consumers read them. An event is
told once or more, never less: its row goes away when it was."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
import typing as t
from pathlib import Path

import msgspec
import sqlalchemy as sa

from .. import clock
from ..db import Row, Tx
from ..log import get_logger
from ..work import Reconciler
from .events import TOPIC, Told, waiting

if t.TYPE_CHECKING:
    from ..runtime import Runtime

log = get_logger("audit")
MOST = 200
"""Events told in one go."""
TAKEN = dt.timedelta(seconds=30)


class Teller(t.Protocol):
    async def tell(self, events: list[Told]) -> None:
        """Tell events, in their order; returns once that is safe. Raises OSError where it cannot be done now."""
        ...

    async def close(self) -> None: ...


class AuditRelay(Reconciler):
    """Tells what waits. Where that cannot be done, it waits on, and is tried again."""

    name, interval, nudged_by = "audit-events", 10.0, (TOPIC,)

    def __init__(self, runtime: Runtime):
        super().__init__(runtime)
        self._teller: Teller | None = None

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self.close()

    async def close(self) -> None:
        if self._teller is not None:
            await self._teller.close()

    async def run_once(self) -> None:
        if self.runtime.config.audit == "off":
            return
        if self._teller is None:
            self._teller = _teller(self.runtime)
        while rows := await self.runtime.db.write(_take):
            try:
                await self._teller.tell([_told(row) for row in rows])
            except OSError as error:
                log.warning("events cannot be told now", error=str(error), events=len(rows))
                await self.runtime.db.write(lambda tx, rows=rows: tx.execute(_numbered(sa.update(waiting), rows).values(taken_until=None)))
                return
            await self.runtime.db.write(lambda tx, rows=rows: tx.execute(_numbered(sa.delete(waiting), rows)))


def _take(tx: Tx) -> list[Row]:
    """The oldest that nobody is telling."""
    now = clock.now()
    free = sa.or_(waiting.c.taken_until.is_(None), waiting.c.taken_until < now)
    rows = tx.all(sa.select(waiting).where(free).order_by(waiting.c.number).limit(MOST))
    if rows:
        tx.execute(_numbered(sa.update(waiting), rows).values(taken_until=now + TAKEN))
    return rows


Statement = t.TypeVar("Statement", sa.Update, sa.Delete)


def _numbered(statement: Statement, rows: list[Row]) -> Statement:
    return statement.where(waiting.c.number.in_([row.number for row in rows]))


def _told(row: Row) -> Told:
    return Told(
        message_id=row.message_id, publisher_id=f"{row.publisher}.{socket.gethostname()}", event_type=row.event_type,
        payload=row.payload, timestamp=row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    )  # fmt: skip


def _teller(runtime: Runtime) -> Teller:
    if runtime.config.audit == "bus":
        from ..bus.notifications import Notifications

        return Notifications(runtime.config.bus, {name: api.exchange or name for name, api in runtime.apis.items()})
    return File(runtime.config.root / "control" / "audit.log")


class File:
    """One event a line, for the file's owner alone. It grows: whoever keeps it may move it away at any time."""

    def __init__(self, path: Path):
        self._path = path

    async def tell(self, events: list[Told]) -> None:
        await asyncio.to_thread(self._append, b"".join(msgspec.json.encode(event) + b"\n" for event in events))

    async def close(self) -> None:
        pass

    def _append(self, lines: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with contextlib.closing(os.fdopen(descriptor, "ab")) as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
