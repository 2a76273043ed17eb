"""Transactions that need something from outside first."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from cumulet.kernel.db import Await, Database, Tx, metadata, table
from cumulet.kernel.errors import Unavailable

things = table("test_await_things")
metadata.remove(things)  # no table of the cloud's


@pytest.fixture
def db(database_url: str):
    made = Database(database_url)
    things.drop(made.engine, checkfirst=True)
    things.create(made.engine)
    yield made
    things.drop(made.engine)
    made.close()


def test_it_is_taken_back_and_run_anew_when_that_is_there(db):
    there: list[int] = []

    def work(tx: Tx) -> int:
        tx.insert(things)
        if len(there) < 2:
            raise Await(come)
        return tx.scalar(sa.select(sa.func.count()).select_from(things))

    async def come() -> None:
        assert await db.read(lambda tx: tx.rows(things)) == [], "nothing is open, nothing was kept"
        there.append(1)

    assert asyncio.run(db.write(work)) == 1 and len(there) == 2


def test_what_goes_wrong_while_waiting_is_the_answer(db):
    async def fail() -> None:
        raise Unavailable("it is not there")

    def work(tx: Tx) -> None:
        raise Await(fail)

    with pytest.raises(Unavailable, match="it is not there"):
        asyncio.run(db.read(work))


def test_it_does_not_wait_for_ever(db):
    async def come() -> None:
        pass

    def work(tx: Tx) -> None:
        raise Await(come)

    with pytest.raises(Unavailable, match="never there all at once"):
        asyncio.run(db.read(work))
