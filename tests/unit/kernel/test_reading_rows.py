"""A transaction reads a row once, until it writes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from cumulet.kernel.db import Database, Tx, metadata, table

things = table("test_reading", sa.Column("name", sa.String(8)), sa.Column("size", sa.Integer))
metadata.remove(things)  # no table of the cloud's


@pytest.fixture
def db(database_url: str):
    database = Database(database_url)
    things.drop(database.engine, checkfirst=True)
    things.create(database.engine)
    with database.begin() as tx:
        tx.insert_many(things, [{"id": name, "name": name, "size": ord(name)} for name in ("a", "b", "ü")])
    yield database
    things.drop(database.engine)
    database.close()


def size(tx: Tx, id: str) -> int | None:
    return tx.one(things, id=id).size


def test_a_row_is_as_the_transaction_left_it(db: Database):
    with db.begin() as tx:
        assert size(tx, "a") == size(tx, "a") == 97 and tx.get(things, id="c") is None
        tx.update(things, "a", size=1)
        assert size(tx, "a") == 1
        tx.execute(things.update().values(size=2))
        assert size(tx, "a") == 2
        tx.insert(things, id="c", size=3)
        assert size(tx, "c") == 3
        tx.insert_many(things, [{"id": "d", "size": 4}])
        assert tx.get(things, id="d") is not None
        tx.delete(things, id="c")
        assert tx.get(things, id="c") is None


def fail(tx: Tx) -> None:
    with tx.savepoint():
        tx.update(things, "a", size=1)
        raise KeyError(size(tx, "a"))


def test_a_row_is_as_it_was_where_a_savepoint_was_taken_back(db: Database):
    with db.begin() as tx:
        with pytest.raises(KeyError, match="1"):
            fail(tx)
        assert size(tx, "a") == 97


def test_a_row_is_read_once(db: Database):
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda connection, cursor, statement, *more: asked.append(statement))
    with db.begin(write=False) as tx:
        assert size(tx, "a") == size(tx, "a")
    assert len(asked) == 1
    with db.begin(write=False) as tx:
        assert size(tx, "a") == 97
    assert len(asked) == 2
