"""Paging and sorting of lists, in SQL: after a marker, in a stable order, at most so many."""

from __future__ import annotations

import typing as t
import weakref

import sqlalchemy as sa

from ..db import Row, Tx
from ..errors import BadRequest

Order = t.Sequence[tuple[str, str]]
Key = tuple[sa.Column, bool]
"""A column that rows are ordered by, and whether from the last to the first."""
SIZE = "page_size"
_known: weakref.WeakKeyDictionary[sa.Select, dict[tuple[Key, ...], sa.Select]] = weakref.WeakKeyDictionary()
"""Statements in order, for as long as they are there without: making one costs more than running it."""


def paged(tx: Tx, statement: sa.Select, table: sa.Table, *, order: Order, limit: int | None, marker: str | None, most: int = 1000,
          reverse: bool = False, values: t.Mapping[str, t.Any] | None = None) -> tuple[list[Row], str | None]:  # fmt: skip
    """One page of `statement` (which selects from `table`), and the marker of the next, None where there is none.

    order: (column, "asc" | "desc") pairs; `id` is put behind them so that the order is total. values: those of the
    statement's parameters; one that is made once for many requests is put in order once, too. Raises BadRequest
    for a column or direction that is none, a negative limit, or a marker that names no row.
    """
    if limit is not None and limit < 0:
        raise BadRequest(f"limit must be zero or more, not {limit}.")
    keys = _keys(table, order)
    if marker is not None:
        statement = statement.where(_after(tx, table, keys, marker))
    size = min(most, limit) if limit else (0 if limit == 0 else most)
    rows = tx.all(_ordered(statement, tuple(keys)), {**(values or {}), SIZE: size + 1}) if size else []
    full = len(rows) > size
    rows = rows[:size]
    return (rows[::-1] if reverse else rows), (rows[-1].id if full else None)


def _ordered(statement: sa.Select, keys: tuple[Key, ...]) -> sa.Select:
    known = _known.setdefault(statement, {})
    if keys not in known:
        known[keys] = statement.order_by(*(_direction(*key) for key in keys)).limit(sa.bindparam(SIZE, type_=sa.Integer))
    return known[keys]


def _keys(table: sa.Table, order: Order) -> list[Key]:
    keys = []
    for name, direction in order:
        if name not in table.c:
            raise BadRequest(f"Invalid sort key {name}; known are {', '.join(sorted(c.name for c in table.c))}.")
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction {direction}: asc or desc.")
        keys.append((table.c[name], direction == "desc"))
    if not any(column.name == "id" for column, _ in keys):
        keys.append((table.c.id, keys[-1][1] if keys else False))
    return keys


def _direction(column: sa.Column, descending: bool) -> sa.UnaryExpression:
    """Where there is no null, nothing is said of it: PostgreSQL's indexes have nulls elsewhere, and would not be used."""
    ordered = column.desc() if descending else column.asc()
    return ordered if not column.nullable else ordered.nulls_last() if descending else ordered.nulls_first()


def _after(tx: Tx, table: sa.Table, keys: list[Key], marker: str) -> sa.ColumnElement[bool]:
    """Rows that come behind the marker: equal in the first keys and beyond it in the next. Null is the least."""
    row = tx.first(sa.select(*(column for column, _ in keys)).select_from(table).where(table.c.id == marker))
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    clauses, same = [], []
    for (column, descending), value in zip(keys, row, strict=True):
        beyond = _beyond(column, value, descending)
        if beyond is not None:
            clauses.append(sa.and_(*same, beyond))
        same.append(column.is_(None) if value is None else column == value)
    return sa.and_(_from(*keys[0], row[0]), sa.or_(*clauses))


def _from(column: sa.Column, descending: bool, value: t.Any) -> sa.ColumnElement[bool]:
    """What the clauses of `_after` come to for the first column alone: an index leads to the page by it."""
    if value is None or (descending and column.nullable):
        return sa.true()
    return column <= value if descending else column >= value


def _beyond(column: sa.Column, value: t.Any, descending: bool) -> sa.ColumnElement[bool] | None:
    if value is None:
        return None if descending else column.is_not(None)
    return sa.or_(column < value, column.is_(None)) if descending else column > value
