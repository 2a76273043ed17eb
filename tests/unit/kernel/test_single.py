from __future__ import annotations

import pytest
import sqlalchemy as sa

from cumulet.kernel.db.tables import Once, metadata, table
from cumulet.kernel.testing.rows import is_alone


@pytest.fixture
def things():
    made = table(
        "looked_for", sa.Column("name", sa.String(9)), sa.Column("place", sa.String(9)), sa.Column("first", sa.Boolean),
        once=(Once(("place", "name"), "again"), Once(("name",), "again", {"place": None}), Once(("first",), "again", {"first": True})),
    )  # fmt: skip
    yield made
    metadata.remove(made)


@pytest.mark.parametrize("where", [
    {"id": "1"}, {"id": "1", "name": "n"}, {"name": "n", "place": "p"}, {"name": "n", "place": None}, {"first": True},
])  # fmt: skip
def test_what_is_alone(things, where):
    assert is_alone(things, where)


@pytest.mark.parametrize("where", [
    {}, {"name": "n"}, {"place": None}, {"id": None}, {"name": None, "place": "p"}, {"first": False}, {"first": None},
])  # fmt: skip
def test_what_is_not(things, where):
    assert not is_alone(things, where)
