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
          reverse: bool = False, values: t.Mapping[str, t.Any] | None = None,
          led: bool = False) -> tuple[list[Row], str | None]:  # fmt: skip
    """One page of `statement` (which selects from `table`), and the marker of the next, None where there is none.

    order: (column, "asc" | "desc") pairs; `id` is put behind them so that the order is total. values: those of the
    statement's parameters; one that is made once for many requests is put in order once, too. led: whether the statement finds few rows
    in its own way, which is not to be given up for an index on the order. Raises BadRequest
    for a column or direction that is none, a negative limit, or a marker that names no row.
    """
    if limit is not None and limit < 0:
        raise BadRequest(f"limit must be zero or more, not {limit}.")
    keys = _keys(table, order)
    spans = _spans(keys, None if marker is None else _marked(tx, table, keys, marker))
    size = min(most, limit) if limit else (0 if limit == 0 else most)
    rows: list[Row] = []
    for span in spans if size else ():
        if len(rows) <= size:
            some = statement if span is None else statement.where(sa.func.coalesce(span, sa.false()) if led else span)
            rows += tx.all(_ordered(some, tuple(keys), led), {**(values or {}), SIZE: size + 1 - len(rows)})
    full = len(rows) > size
    rows = rows[:size]
    return (rows[::-1] if reverse else rows), (rows[-1].id if full else None)


def _ordered(statement: sa.Select, keys: tuple[Key, ...], led: bool) -> sa.Select:
    known = _known.setdefault(statement, {})
    if keys not in known:
        (first, descending), *others = keys
        leading = sa.func.coalesce(first, first) if led else first
        ordered = [leading.desc() if descending else leading.asc(), *(_direction(*key) for key in others)]
        known[keys] = statement.order_by(*ordered).limit(sa.bindparam(SIZE, type_=sa.Integer))
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
    """Null is the least, on both databases."""
    ordered = column.desc() if descending else column.asc()
    return ordered if not column.nullable else ordered.nulls_last() if descending else ordered.nulls_first()


def _marked(tx: Tx, table: sa.Table, keys: list[Key], marker: str) -> Row:
    row = tx.first(sa.select(*(column for column, _ in keys)).select_from(table).where(table.c.id == marker))
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    return row


def _spans(keys: list[Key], row: Row | None) -> list[sa.ColumnElement[bool] | None]:
    """The rows behind a marker's, or all, as spans one behind the other: in each of them the first column has no nulls, or is null. So an
    index on the columns leads to the page, wherever the database would have nulls in it."""
    column, descending = keys[0]
    if row is not None and row[0] is not None:
        return [_behind(keys, row), *([column.is_(None)] if column.nullable and descending else [])]
    if row is not None:
        nulls = sa.and_(column.is_(None), _after(keys[1:], row[1:]))
        return [nulls] if descending else [nulls, column.is_not(None)]
    if not column.nullable:
        return [None]
    return [column.is_not(None), column.is_(None)] if descending else [column.is_(None), column.is_not(None)]


def _behind(keys: list[Key], values: t.Sequence[t.Any]) -> sa.ColumnElement[bool]:
    """Rows beyond these values, of which the first is not null, and in which it is not null either: as one comparison where that can be."""
    columns, directions = [column for column, _ in keys], {descending for _, descending in keys}
    if len(directions) == 1 and not any(column.nullable for column in columns[1:]):
        here, there = sa.tuple_(*columns), sa.tuple_(*map(sa.literal, values))
        return here < there if directions == {True} else here > there
    column, descending = keys[0]
    return sa.and_(column <= values[0] if descending else column >= values[0], _after(keys, values))


def _after(keys: list[Key], values: t.Sequence[t.Any]) -> sa.ColumnElement[bool]:
    """Rows beyond these values: beyond the first, or equal in it and beyond the next. Null is the least."""
    clauses, same = [], []
    for (column, descending), value in zip(keys, values, strict=True):
        beyond = _beyond(column, value, descending)
        if beyond is not None:
            clauses.append(sa.and_(*same, beyond))
        same.append(column.is_(None) if value is None else column == value)
    return sa.or_(*clauses)


def _beyond(column: sa.Column, value: t.Any, descending: bool) -> sa.ColumnElement[bool] | None:
    if value is None:
        return None if descending else column.is_not(None)
    return sa.or_(column < value, column.is_(None)) if descending else column > value
