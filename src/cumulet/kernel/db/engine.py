"""The database: one writer on SQLite, a pool on PostgreSQL, every writing transaction serialisable on both.

A transaction that only reads sees one moment of the database, and makes no other one lose. A lane is a thread pool. Handlers
that hold a transaction run in one; the event loop never waits on the database, but for brief reads of a file (ADR 0023).
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import contextlib
import functools
import threading
import typing as t
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, exc

from ..errors import Unavailable
from .paces import Paces
from .transaction import Broken, Tx
from .turns import Lane, Turns

Result = t.TypeVar("Result")
POOL = 8
ATTEMPTS = 12
AWAITS = 12
"""For how many things one transaction may have to wait before it."""


class Await(Exception):
    """Raised inside a transaction that needs something from outside first. It is taken back, `wait` is awaited while none is
    open, and then it is run anew."""

    def __init__(self, wait: t.Callable[[], t.Awaitable[None]]):
        super().__init__("a transaction that nobody awaits cannot wait for what is outside")
        self.wait = wait


class _Kept(threading.local):
    """The connection of a thread that does nothing but this: writing transactions, or those that only read."""

    write: bool | None = None
    connection: sa.Connection | None = None


class Database:
    """Where every service keeps its rows. `url` is SQLAlchemy's: `sqlite:////path` or `postgresql+psycopg://...`."""

    transaction: type[Tx] = Tx

    def __init__(self, url: str):
        self.engine = create_engine(url)
        self.embedded = self.engine.dialect.name == "sqlite"
        self._turns = Lane(Path(str(self.engine.url.database))) if self.embedded else Turns(self.engine)
        self._kept, self._paces = _Kept(), Paces()
        self._writers, self._readers = self._lane("db-write", True), self._lane("db-read", False)
        self.on_nudge: t.Callable[[str], None] = lambda topic: None

    @contextlib.contextmanager
    def begin(self, write: bool = True) -> t.Iterator[Tx]:
        """A transaction in this thread, for what has no event loop."""
        turn = self._turns.take() if write else contextlib.nullcontext()
        with turn, self._connected(write) as connection, connection.begin():
            tx = self.transaction(connection, None if write or self.embedded else connection.connection.driver_connection)
            yield tx
        for topic in tx.nudges:
            self.on_nudge(topic)

    def transact(self, fn: t.Callable[[Tx], Result], write: bool = True) -> Result:
        """Run `fn` in a transaction, again where the database says that another one came between, or that it was started anew since
        it was asked last. It may run several times, so it changes nothing but the database."""
        broken = self.embedded
        for _ in range(ATTEMPTS):
            whole = False
            try:
                with self.begin(write) as tx:
                    result = fn(tx)
                    whole = write
                return result
            except (exc.IntegrityError, Broken):
                # PostgreSQL may tell of the constraint where another's row came between looking and adding: who looks again sees it.
                if broken:
                    raise
                broken = True
            except exc.OperationalError as error:
                if error.connection_invalidated and not whole:  # else it may have been kept, with the word of that lost
                    continue
                if not _lost_race(error):
                    raise
                self._turns.lost()
        raise Unavailable(f"The database was too busy: {ATTEMPTS} attempts lost to other requests. Try again.")

    async def write(self, fn: t.Callable[[Tx], Result]) -> Result:
        """Run `fn` in a writing transaction, in the write lane."""
        return await self._awaiting(self._writers, fn, True)

    async def read(self, fn: t.Callable[[Tx], Result], like: t.Hashable = None) -> Result:
        """Run `fn` in a transaction that only reads. like: what it has in common with others that take as long, if that is known: on
        SQLite it is done here, on the event loop, where those were brief."""
        if not self.embedded or like is None:
            return await self._awaiting(self._readers, fn, False)
        timed = functools.partial(self._paces.timed, like, fn)
        if self._paces.are_brief(like):
            try:
                with self._here() as tx:
                    return timed(tx)
            except (Await, exc.OperationalError):
                pass  # the lane waits for whatever it is
        return await self._awaiting(self._readers, timed, False)

    def _here(self) -> t.ContextManager[Tx]:
        """A transaction on the event loop, which only reads, and does not wait where it cannot."""
        if self._kept.connection is None:
            self._kept.write = False
            with self._connected(write=False) as connection, connection.begin():
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
        return self.begin(write=False)

    async def _awaiting(self, lane: cf.Executor, fn: t.Callable[[Tx], Result], write: bool) -> Result:
        for _ in range(AWAITS):
            try:
                return await asyncio.get_running_loop().run_in_executor(lane, self.transact, fn, write)
            except Await as needed:
                await needed.wait()
        raise Unavailable(f"What the request needs from outside was never there all at once, tried {AWAITS} times. Try again.")

    def _lane(self, name: str, write: bool) -> cf.ThreadPoolExecutor:
        return cf.ThreadPoolExecutor(1 if self.embedded else POOL, name, lambda: setattr(self._kept, "write", write))

    def _connected(self, write: bool) -> t.ContextManager[sa.Connection]:
        """A thread of a lane keeps its connection as long as that is good: a quarter of a short request is getting one."""
        kept = self._kept
        if kept.write != write:
            return self._connect(write)
        if kept.connection is None or kept.connection.invalidated:
            kept.connection = self._connect(write)
        return contextlib.nullcontext(kept.connection)

    def _connect(self, write: bool) -> sa.Connection:
        return self.engine.connect().execution_options(**self._options(write))

    def _options(self, write: bool) -> dict[str, t.Any]:
        if self.embedded:
            return {"write": write}
        return {} if write else {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}

    def close(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        if self._kept.connection is not None:
            self._kept.connection.close()
        self.engine.dispose()


def create_engine(url: str) -> sa.Engine:
    """SQLAlchemy's engine with what both databases need to be serialisable."""
    parsed = sa.make_url(url)
    # Errors tell a statement without its values, for they are logged, and values may be hashes of passwords or secrets.
    options = {"json_serializer": _json, "json_deserializer": msgspec.json.decode, "hide_parameters": True}
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_size=2 * POOL, isolation_level="SERIALIZABLE", **options)
    engine = sa.create_engine(parsed, pool_size=4, max_overflow=-1, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _json(value: t.Any) -> str:
    return msgspec.json.encode(value).decode()


def _prepare_sqlite(connection: t.Any, _: t.Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000", "cache_size=-8000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("write", True):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        t.cast(t.Any, connection.connection.driver_connection).execute("BEGIN")  # locks nothing, so nothing is to be told of


def _lost_race(error: exc.OperationalError) -> bool:
    """Serialisation failure or deadlock, by PostgreSQL's class 40 codes; SQLite's busy after its own wait."""
    return (getattr(error.orig, "sqlstate", None) or "").startswith("40") or "database is locked" in str(error.orig)
