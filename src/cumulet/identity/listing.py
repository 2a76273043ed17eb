"""Lists: the exact and inexact filters that any of this service's lists takes, and their pages."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest
from ..kernel.http import Page, Request, paged

UNPAGED = 1_000_000
"""A client that names no limit expects the whole list: most of this API's clients do not follow links."""


def listed(tx: Tx, request: Request, table: sa.Table, view: t.Callable[[Row], t.Any], filters: tuple[str, ...],
           *where: sa.ColumnElement[bool]) -> Page:  # fmt: skip
    """The page that the request's query asks for. filters: columns that it may filter by, as in `name=x`,
    `enabled`, `name__icontains=x`; what else the query names is not looked at."""
    statement = sa.select(table).where(*where, *matching(request, table, filters))
    limit = marker = None
    for key, value in request.query:
        if key == "limit":
            limit = _limit(value)
        elif key == "marker":
            marker = value
    order = [("name", "asc")] if "name" in table.c else []
    most = request.runtime.config.page_limit if limit else UNPAGED
    rows, following = paged(tx, statement, table, order=order, limit=limit, marker=marker, most=most)
    return Page([view(row) for row in rows], following)


def matching(request: Request, table: sa.Table, filters: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    """What the request's query asks of a table's rows."""
    clauses = (_clause(table, filters, key, value) for key, value in request.query)
    return [clause for clause in clauses if clause is not None]


def of_own_domain(request: Request, table: sa.Table) -> list[sa.ColumnElement[bool]]:
    """A token for a domain sees that domain's rows alone."""
    return [table.c.domain_id == request.context.domain_id] if request.context.domain_id else []


def is_true(value: str) -> bool:
    """A flag in a query: there at all means yes, unless it says no."""
    return value.strip().lower() not in ("0", "f", "false", "off", "n", "no")


def flag(request: Request, name: str) -> bool:
    """Whether a flag is in the query; only `0` takes it back."""
    return any(key == name and value != "0" for key, value in request.query)


def asked(request: Request, name: str) -> str | None:
    """The last value of a query parameter; empty is none."""
    return next((value for key, value in reversed(request.query) if key == name and value), None)


def _limit(value: str) -> int | None:
    if not value.isdecimal() or len(value) > 9:
        raise BadRequest(f"Invalid input for query parameters limit: {value!r} is no number of items")
    return int(value) or None


def _clause(table: sa.Table, filters: tuple[str, ...], key: str, value: str) -> sa.ColumnElement[bool] | None:
    name, _, comparator = key.partition("__")
    if name not in filters:
        return None
    column = table.c[name]
    if isinstance(column.type, sa.Boolean):
        return column.is_(is_true(value)) if not comparator else None
    return _inexact(column, comparator, value) if comparator else column == value


def _inexact(column: t.Any, comparator: str, value: str) -> sa.ColumnElement[bool] | None:
    """LIKE minds case on one database and not on the other; these functions mean the same on both."""
    if comparator.startswith("i"):
        column, value, comparator = sa.func.lower(column), value.lower(), comparator[1:]
    if comparator == "contains":
        return sa.func.replace(column, value, "") != column if value else sa.true()
    if comparator == "startswith":
        return sa.func.substr(column, 1, len(value)) == value
    if comparator == "endswith":
        start = sa.func.length(column) - len(value) + 1
        return sa.and_(start >= 1, sa.func.substr(column, start) == value)
    return None
