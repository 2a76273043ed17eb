"""Brief reads, which the event loop does itself where the database is a file."""

from __future__ import annotations

import asyncio
import threading

import pytest
import sqlalchemy as sa

from cumulet.kernel.db import Await, Database, Tx


@pytest.fixture
def db(database_url: str):
    made = Database(database_url)
    yield made
    made.close()


def here(_: Tx) -> int:
    return threading.get_ident()


def test_it_is_done_here_on_sqlite_alone(db):
    assert (asyncio.run(db.glance(here)) == threading.get_ident()) is db.embedded
    assert asyncio.run(db.read(here)) != threading.get_ident()


def test_it_sees_what_was_written_before(db):
    table = sa.Table("test_glance", sa.MetaData(), sa.Column("number", sa.Integer))

    async def follow() -> list[int]:
        seen = []
        for number in range(3):
            await db.write(lambda tx, number=number: tx.execute(table.insert().values(number=number)))
            seen.append(await db.glance(lambda tx: tx.scalar(sa.select(sa.func.max(table.c.number)))))
        return seen

    table.create(db.engine)
    try:
        assert asyncio.run(follow()) == [0, 1, 2]
    finally:
        table.drop(db.engine)


def test_what_needs_something_from_outside_is_left_to_the_lane(db):
    there: list[int] = []

    async def come() -> None:
        there.append(1)

    def work(tx: Tx) -> int:
        if not there:
            raise Await(come)
        return here(tx)

    assert asyncio.run(db.glance(work)) != threading.get_ident() and there


def test_so_is_what_the_database_refuses(db):
    loop, tried = threading.get_ident(), []

    def work(tx: Tx) -> int:
        tried.append(here(tx))
        if tried == [loop]:
            tx.scalar(sa.text("SELECT 1 FROM nowhere"))
        return here(tx)

    assert asyncio.run(db.glance(work)) != loop
    assert len(tried) == (2 if db.embedded else 1)
    assert (asyncio.run(db.glance(here)) == loop) is db.embedded, "its connection is good for the next"
