"""A database whose transactions refuse to read as one row what may be several: some client would make two of them one day, and
be answered with a 500."""

from __future__ import annotations

import functools
import typing as t

import sqlalchemy as sa

from ..db import Database, Row, Tx
from ..db.tables import AMONG

Value = bool | int | None
Key = tuple[frozenset[str], tuple[tuple[str, Value], ...]]
"""Columns that together occur once, and among the rows with which values."""


@functools.cache
def keys(table: sa.Table) -> tuple[Key, ...]:
    """All that is declared to occur once in a table."""
    whole = [table.primary_key, *(one for one in table.constraints if isinstance(one, sa.UniqueConstraint))]
    found: list[Key] = [(frozenset(column.name for column in one.columns), ()) for one in whole]
    found += [(frozenset({column.name}), ()) for column in table.columns if column.unique]
    for index in table.indexes:
        if index.unique:
            found.append((frozenset(column.name for column in index.columns), tuple(index.info.get(AMONG, {}).items())))
    return tuple(found)


def is_alone(table: sa.Table, where: t.Mapping[str, t.Any]) -> bool:
    """Whether no two rows can have these values: null is in no key, for it is never the same twice."""
    known = {name for name, value in where.items() if value is not None}
    return any(columns <= known and all(name in where and where[name] == value for name, value in among) for columns, among in keys(table))


class CheckedTx(Tx):
    def get(self, table: sa.Table, **where: t.Any) -> Row | None:
        assert is_alone(table, where), f"there may be several rows of {table.name} with one {', '.join(where)}"
        return super().get(table, **where)


class CheckedDatabase(Database):
    transaction = CheckedTx
