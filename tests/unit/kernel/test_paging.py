"""The law of paging: walking all pages gives every row once, in order."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cumulet.kernel.db import Database, metadata, table
from cumulet.kernel.errors import BadRequest
from cumulet.kernel.http import paged

items = table("test_paging", sa.Column("name", sa.String(8)), sa.Column("size", sa.Integer))
metadata.remove(items)  # no table of the cloud's
ROWS = st.lists(st.tuples(st.sampled_from([None, "a", "b", "B", "ü"]), st.sampled_from([None, 0, 1, 2])), max_size=12)
ORDER = st.lists(
    st.tuples(st.sampled_from(["name", "size", "id"]), st.sampled_from(["asc", "desc"])), max_size=3, unique_by=lambda pair: pair[0]
)


@pytest.fixture
def db(database_url: str):
    database = Database(database_url)
    items.drop(database.engine, checkfirst=True)
    items.create(database.engine)
    yield database
    items.drop(database.engine)
    database.close()


def fill(db: Database, rows: list[tuple]) -> None:
    with db.begin() as tx:
        tx.delete(items)
        tx.insert_many(items, [{"id": f"id-{i * 7 % 13:02}", "name": name, "size": size} for i, (name, size) in enumerate(rows)])


def walk(db: Database, order: list, limit: int, start: str | None = None) -> list:
    """Every row from a marker on, page by page."""
    seen: list = []
    with db.begin(write=False) as tx:
        while True:
            rows, marker = paged(tx, sa.select(items), items, order=order, limit=limit, marker=start, most=5)
            assert len(rows) <= min(limit, 5)
            seen += rows
            if marker is None:
                return seen
            assert marker == rows[-1].id
            start = marker


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, order=ORDER, limit=st.integers(1, 7))
@example(rows=[("b", 1), ("a", 1), (None, 1)], order=[("name", "desc"), ("size", "asc")], limit=2)
def test_all_pages_together_are_the_list(db: Database, rows: list, order: list, limit: int):
    fill(db, rows)
    with db.begin(write=False) as tx:
        whole, _ = paged(tx, sa.select(items), items, order=order, limit=None, marker=None)
    assert len(whole) == len(rows)
    assert [row.id for row in walk(db, order, limit)] == [row.id for row in whole]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, order=ORDER)
def test_rows_are_in_order_and_null_is_the_least(db: Database, rows: list, order: list):
    fill(db, [(None, size) for _, size in rows])
    got = [(-1 if row.size is None else row.size, row.id) for row in walk(db, [("size", "desc")], 2)]
    assert got == sorted(got, key=lambda pair: pair, reverse=True)


def test_a_page_starts_behind_its_marker(db: Database):
    fill(db, [("a", n) for n in range(6)])
    assert [row.size for row in walk(db, [("size", "asc")], 2, start="id-01")] == [3, 4, 5]


def test_a_list_backwards(db: Database):
    fill(db, [("a", n) for n in range(5)])
    with db.begin(write=False) as tx:
        rows, _ = paged(tx, sa.select(items), items, order=[("size", "desc")], limit=2, marker=None, reverse=True)
    assert [row.size for row in rows] == [3, 4]


@pytest.mark.parametrize(
    ("order", "limit", "marker", "told"),
    [
        ([("nothing", "asc")], None, None, "nothing"),
        ([("name", "up")], None, None, "up"),
        ([], -1, None, "limit"),
        ([], None, "none", "none"),
    ],
)
def test_what_is_no_page_is_refused(db: Database, order: list, limit: int | None, marker: str | None, told: str):
    with db.begin(write=False) as tx, pytest.raises(BadRequest, match=told):
        paged(tx, sa.select(items), items, order=order, limit=limit, marker=marker)


def test_no_rows_may_be_asked_for(db: Database):
    fill(db, [("a", 1)])
    with db.begin(write=False) as tx:
        assert paged(tx, sa.select(items), items, order=[], limit=0, marker=None) == ([], None)
        assert len(paged(tx, sa.select(items), items, order=[], limit=2**62, marker=None)[0]) == 1
