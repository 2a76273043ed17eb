"""Brief reads, which the event loop does itself where the database is a file."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa

from cumulet.kernel.db import Await, Database, Tx
from cumulet.kernel.db.paces import BRIEF, MOST, TRIED

KIND = "a kind"


@pytest.fixture
def db(database_url: str):
    made = Database(database_url)
    yield made
    made.close()


def thread(_: Tx) -> int:
    return threading.get_ident()


def long(_: Tx) -> int:
    ends = time.thread_time() + 2 * BRIEF
    while time.thread_time() < ends:
        pass
    return threading.get_ident()


def read(db: Database, fn: t.Callable[[Tx], t.Any] = thread, times: int = 1, kind: t.Hashable = KIND) -> t.Any:
    async def each() -> list[t.Any]:
        return [await db.read(fn, like=kind) for _ in range(times)]

    return asyncio.run(each())[-1]


def is_here(db: Database, kind: t.Hashable = KIND) -> bool:
    return read(db, kind=kind) == threading.get_ident()


def test_those_of_a_kind_that_was_brief_are_done_here(db):
    assert read(db, times=TRIED) != threading.get_ident()
    assert is_here(db) is db.embedded
    assert not is_here(db, "another")
    assert not is_here(db, None)


def test_one_that_took_long_is_followed_by_a_while_in_the_lane(db):
    read(db, times=TRIED)
    assert (read(db, long) == threading.get_ident()) is db.embedded
    assert read(db, times=TRIED) != threading.get_ident()
    assert is_here(db) is db.embedded


def test_so_many_kinds_are_known_and_no_more(db):
    read(db, times=TRIED)

    async def others() -> None:
        for n in range(MOST + 1):
            await db.read(thread, like=n)

    asyncio.run(others())
    assert not is_here(db)


def test_they_see_what_was_written_before(db):
    table = sa.Table("test_paces", sa.MetaData(), sa.Column("number", sa.Integer))

    async def follow() -> list[int]:
        seen = []
        for number in range(3):
            await db.write(lambda tx, number=number: tx.execute(table.insert().values(number=number)))
            seen.append(await db.read(lambda tx: tx.scalar(sa.select(sa.func.max(table.c.number))), like=KIND))
        return seen

    read(db, times=TRIED)
    table.create(db.engine)
    try:
        assert asyncio.run(follow()) == [0, 1, 2]
    finally:
        table.drop(db.engine)


def test_what_needs_something_from_outside_waits_for_it_in_the_lane(db):
    there: list[int] = []

    async def come() -> None:
        there.append(1)

    def work(tx: Tx) -> int:
        if not there:
            raise Await(come)
        return thread(tx)

    read(db, times=TRIED)
    assert read(db, work) != threading.get_ident() and there


def test_what_the_database_refuses_here_is_tried_in_the_lane(db):
    loop, tried = threading.get_ident(), []

    def work(tx: Tx) -> int:
        tried.append(thread(tx))
        if tried == [loop]:
            tx.scalar(sa.text("SELECT 1 FROM nowhere"))
        return thread(tx)

    read(db, times=TRIED)
    assert read(db, work) != loop
    assert len(tried) == (2 if db.embedded else 1)
    assert is_here(db) is db.embedded, "its connection is good for the next"
