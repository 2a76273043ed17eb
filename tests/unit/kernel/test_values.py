"""Rows found by many values at once, whatever the values are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.kernel.db import MANY, Database

named = sa.Table("test_values", sa.MetaData(), sa.Column("name", sa.String(64), primary_key=True))
NAMES = ["", " ", "a", "A", "null", "NULL", "1", "{}", '"', "'", "\\", "a,b", '{"a"}', "[]", "%", "\n", "é", "\U0001f600"]
COUNTED = sa.select(sa.func.count()).select_from(named).where(named.c.name.in_(MANY))


@pytest.fixture(scope="module")
def db(database_url: str):
    made = Database(database_url)
    named.create(made.engine)
    made.transact(lambda tx: tx.insert_many(named, [{"name": name} for name in NAMES]))
    yield made
    made.close()
    named.drop(made.engine)


@settings(deadline=None)
@given(names=st.lists(st.sampled_from(NAMES) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=64)))
def test_those_that_are_there_are_found(db, names):
    found = db.transact(lambda tx: tx.among(named.c.name, names), write=False)
    assert sorted(row.name for row in found) == sorted(set(names) & set(NAMES))


def test_there_may_be_more_than_a_statement_may_have_parameters(db):
    names = [*NAMES, *(f"no{n}" for n in range(100_000))]
    assert db.transact(lambda tx: tx.many(COUNTED, names), write=False)[0][0] == len(NAMES)
