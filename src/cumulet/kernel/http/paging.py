"""Paging and sorting of lists, in SQL: after a marker, in a stable order, at most so many."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..db import Row, Tx
from ..errors import BadRequest

Order = t.Sequence[tuple[str, str]]


def paged(tx: Tx, statement: sa.Select, table: sa.Table, *, order: Order, limit: int | None, marker: str | None,
          most: int = 1000, reverse: bool = False) -> tuple[list[Row], str | None]:  # fmt: skip
    """One page of `statement` (which selects from `table`), and the marker of the next, None where there is none.

    order: (column, "asc" | "desc") pairs; `id` is put behind them so that the order is total. Raises BadRequest
    for a column or direction that is none, a negative limit, or a marker that names no row.
    """
    if limit is not None and limit < 0:
        raise BadRequest(f"limit must be zero or more, not {limit}.")
    keys = _keys(table, order)
    if marker is not None:
        statement = statement.where(_after(tx, table, keys, marker))
    size = min(most, limit) if limit else (0 if limit == 0 else most)
    ordering = [_direction(column, descending) for column, descending in keys]
    rows = tx.all(statement.order_by(*ordering).limit(size + 1)) if size else []
    full = len(rows) > size
    rows = rows[:size]
    return (rows[::-1] if reverse else rows), (rows[-1].id if full else None)


def _keys(table: sa.Table, order: Order) -> list[tuple[sa.Column, bool]]:
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
    return column.desc().nulls_last() if descending else column.asc().nulls_first()


def _after(tx: Tx, table: sa.Table, keys: list[tuple[sa.Column, bool]], marker: str) -> sa.ColumnElement[bool]:
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
    return sa.or_(*clauses) if clauses else sa.false()


def _beyond(column: sa.Column, value: t.Any, descending: bool) -> sa.ColumnElement[bool] | None:
    if value is None:
        return None if descending else column.is_not(None)
    return sa.or_(column < value, column.is_(None)) if descending else column > value
