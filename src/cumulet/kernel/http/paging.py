"""Paging and sorting of lists, in SQL: after a marker, in a stable order, at most so many."""

from __future__ import annotations

import functools
import typing as t
import weakref

import sqlalchemy as sa

from ..db import Row, Tx
from ..errors import BadRequest

Order = t.Sequence[tuple[str, str]]
Key = tuple[sa.Column, bool]
"""A column that rows are ordered by, and whether from the last to the first."""
Keys = tuple[Key, ...]
Value = sa.BindParameter | None
"""A marker's, in one of the keys; None where it is null."""
Form = tuple[Keys, tuple[bool, ...] | None, bool]
"""What makes two pages of a list one statement: the keys, which of the marker's values are null (None: there is no marker), and `led`."""
SIZE = "page_size"
FORMS = 256
"""How many are known of one list. Clients may put keys together as they like."""
_known: weakref.WeakKeyDictionary[sa.Select, dict[Form, list[sa.Select]]] = weakref.WeakKeyDictionary()
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
    row = None if marker is None else _marked(tx, table, keys, marker)
    size = min(most, limit) if limit else (0 if limit == 0 else most)
    named = {**(values or {}), **{_marker(n): value for n, value in enumerate(row or ())}}
    rows: list[Row] = []
    for some in _pages(statement, (keys, None if row is None else tuple(value is None for value in row), led)) if size else ():
        if len(rows) <= size:
            rows += tx.all(some, named | {SIZE: size + 1 - len(rows)})
    full = len(rows) > size
    rows = rows[:size]
    return (rows[::-1] if reverse else rows), (rows[-1].id if full else None)


def _pages(statement: sa.Select, form: Form) -> list[sa.Select]:
    """What finds the rows behind a marker's, or all, one behind the other."""
    known = _known.setdefault(statement, {})
    pages = known.get(form)
    if pages is None:
        if len(known) >= FORMS:
            known.clear()  # by any thread, at any time
        keys, nulls, led = form
        values = [None if null else sa.bindparam(_marker(n), type_=keys[n][0].type) for n, null in enumerate(nulls or ())]
        pages = known[form] = [_ordered(statement, span, keys, led) for span in _spans(keys, values)]
    return pages


def _ordered(statement: sa.Select, span: sa.ColumnElement[bool] | None, keys: Keys, led: bool) -> sa.Select:
    (first, descending), *others = keys
    leading = sa.func.coalesce(first, first) if led else first
    ordered = [leading.desc() if descending else leading.asc(), *(_direction(*key) for key in others)]
    some = statement if span is None else statement.where(sa.func.coalesce(span, sa.false()) if led else span)
    return some.order_by(*ordered).limit(sa.bindparam(SIZE, type_=sa.Integer))


def _keys(table: sa.Table, order: Order) -> Keys:
    keys: list[Key] = []
    for name, direction in order:
        if name not in table.c:
            raise BadRequest(f"Invalid sort key {name}; known are {', '.join(sorted(c.name for c in table.c))}.")
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction {direction}: asc or desc.")
        keys.append((table.c[name], direction == "desc"))
    if not any(column.name == "id" for column, _ in keys):
        keys.append((table.c.id, keys[-1][1] if keys else False))
    return tuple(keys)


def _direction(column: sa.Column, descending: bool) -> sa.UnaryExpression:
    """Null is the least, on both databases."""
    ordered = column.desc() if descending else column.asc()
    return ordered if not column.nullable else ordered.nulls_last() if descending else ordered.nulls_first()


def _marked(tx: Tx, table: sa.Table, keys: Keys, marker: str) -> Row:
    for row in tx.all(_marking(table, keys), {"marker": marker}):
        return row
    raise BadRequest(f"marker [{marker}] not found")


@functools.lru_cache(maxsize=FORMS)
def _marking(table: sa.Table, keys: Keys) -> sa.Select:
    return sa.select(*(column for column, _ in keys)).select_from(table).where(table.c.id == sa.bindparam("marker"))


def _marker(n: int) -> str:
    """What the parameter for a marker's value in one of the keys is called."""
    return f"marker_{n}"


def _spans(keys: Keys, values: t.Sequence[Value]) -> list[sa.ColumnElement[bool] | None]:
    """The rows behind a marker's, or all, as spans one behind the other: in each of them the first column has no nulls, or is null. So an
    index on the columns leads to the page, wherever the database would have nulls in it."""
    column, descending = keys[0]
    if values and values[0] is not None:
        return [_behind(keys, values), *([column.is_(None)] if column.nullable and descending else [])]
    if values:
        nulls = sa.and_(column.is_(None), _after(keys[1:], values[1:]))
        return [nulls] if descending else [nulls, column.is_not(None)]
    if not column.nullable:
        return [None]
    return [column.is_not(None), column.is_(None)] if descending else [column.is_(None), column.is_not(None)]


def _behind(keys: Keys, values: t.Sequence[Value]) -> sa.ColumnElement[bool]:
    """Rows beyond these values, of which the first is not null, and in which it is not null either: as one comparison where that can be."""
    columns, directions = [column for column, _ in keys], {descending for _, descending in keys}
    if len(directions) == 1 and not any(column.nullable for column in columns[1:]):
        here, there = sa.tuple_(*columns), sa.tuple_(*values)
        return here < there if directions == {True} else here > there
    column, descending = keys[0]
    return sa.and_(column <= values[0] if descending else column >= values[0], _after(keys, values))


def _after(keys: Keys, values: t.Sequence[Value]) -> sa.ColumnElement[bool]:
    """Rows beyond these values: beyond the first, or equal in it and beyond the next. Null is the least."""
    clauses, same = [], []
    for (column, descending), value in zip(keys, values, strict=True):
        beyond = _beyond(column, value, descending)
        if beyond is not None:
            clauses.append(sa.and_(*same, beyond))
        same.append(column.is_(None) if value is None else column == value)
    return sa.or_(*clauses)


def _beyond(column: sa.Column, value: Value, descending: bool) -> sa.ColumnElement[bool] | None:
    if value is None:
        return None if descending else column.is_not(None)
    return sa.or_(column < value, column.is_(None)) if descending else column > value
