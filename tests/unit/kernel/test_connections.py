"""A database server that is started anew: nobody who asks afterwards notices."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from cumulet.kernel.db import Database, Tx

END_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
counted = sa.Table("test_connections", sa.MetaData(), sa.Column("number", sa.Integer))


@pytest.fixture
def db(database_url: str):
    made = Database(database_url)
    if made.embedded:
        pytest.skip("a file is not started anew")
    counted.create(made.engine)
    yield made
    made.close()
    counted.drop(made.engine)


def end_connections(db: Database) -> None:
    engine = sa.create_engine(db.engine.url)
    with engine.connect() as connection:
        connection.execute(END_OTHERS)
    engine.dispose()


COUNT = sa.select(sa.func.count()).select_from(counted)


def count(tx: Tx) -> int:
    return tx.scalar(COUNT)


def count_ahead(tx: Tx) -> int:
    return tx.ahead(COUNT)[0][0]


def add(tx: Tx) -> None:
    tx.execute(counted.insert().values(number=1))


def test_reading_and_writing_go_on(db):
    for n in range(3):
        db.transact(add)
        assert db.transact(count, write=False) == db.transact(count_ahead, write=False) == n + 1
        end_connections(db)
        assert db.transact(count_ahead, write=False) == n + 1
        end_connections(db)


def test_so_they_do_in_the_lanes(db):
    async def go_on() -> None:
        for n in range(3):
            await db.write(add)
            assert await db.read(count) == n + 1
            end_connections(db)

    asyncio.run(go_on())


def test_a_transaction_that_breaks_on_its_way_is_done_once(db):
    broken: list[int] = []

    def work(tx: Tx) -> None:
        tx.execute(counted.insert().values(number=1))
        if not broken:
            broken.append(1)
            end_connections(db)
        tx.execute(counted.insert().values(number=2))

    db.transact(work)
    assert db.transact(count) == 2


def test_one_that_breaks_at_its_end_is_not_done_again(db):
    """It may have been kept."""

    def work(tx: Tx) -> None:
        tx.execute(counted.insert().values(number=1))
        end_connections(db)

    with pytest.raises(exc.OperationalError):
        db.transact(work)
    assert db.transact(count) == 0


def test_all_but_what_is_read_ahead_is_of_one_moment(db):
    def read(tx: Tx) -> list[int]:
        counts = [count_ahead(tx)]
        for _ in range(3):
            db.transact(add)
            counts += [count(tx), count_ahead(tx)]
        return counts

    before, *after = db.transact(read, write=False)
    assert before == 0 and after == [1] * 6


def test_nothing_is_begun_for_what_is_read_ahead(db):
    began = sa.select(sa.text("xact_start = query_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"))
    assert db.transact(lambda tx: tx.ahead(began), write=False)[0][0]
    assert not db.transact(lambda tx: tx.all(began), write=False)[0][0]
    assert not db.transact(lambda tx: tx.ahead(began))[0][0]
