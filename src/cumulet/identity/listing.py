"""Lists: the exact and inexact filters that any of this service's lists takes, and their pages."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx, having
from ..kernel.errors import BadRequest
from ..kernel.http import Page, Request, paged

UNPAGED = 1_000_000
"""A client that names no limit expects the whole list: most of this API's clients do not follow links."""


class Within(t.NamedTuple):
    """Which rows a list is of: a clause that is made once, and the values of its parameters."""

    clause: sa.ColumnElement[bool]
    values: dict[str, t.Any]


def listed(tx: Tx, request: Request, table: sa.Table, view: t.Callable[[Row], t.Any], filters: tuple[str, ...],
           *where: sa.ColumnElement[bool], within: Within | None = None, **values: t.Any) -> Page:  # fmt: skip
    """The page that the request's query asks for, of the rows for which `where` and `within` hold and which have these values.
    filters: columns that it may filter by, as in `name=x`, `enabled`, `name__icontains=x`; what else the query names is not
    looked at."""
    limit = marker = None
    clauses = list(where)
    for key, value in request.query:
        if key == "limit":
            limit = _limit(value)
        elif key == "marker":
            marker = value
        elif key in filters:
            wanted = _value(table, key, value)
            if values.setdefault(key, wanted) != wanted:
                clauses.append(sa.false())
        elif (clause := _inexact(table, filters, key, value)) is not None:
            clauses.append(clause)
    values = dict(sorted(values.items()))  # one statement for all orders in which they may be asked for
    statement = having(table, values, *([within.clause] if within else ()))
    order = [("name", "asc")] if "name" in table.c else []
    most = request.runtime.config.page_limit if limit else UNPAGED
    rows, following = paged(tx, statement.where(*clauses) if clauses else statement, table, order=order, limit=limit, marker=marker,
                            most=most, values=values | (within.values if within else {}))  # fmt: skip
    return Page([view(row) for row in rows], following)


def matching(request: Request, table: sa.Table, filters: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    """What the request's query asks of a table's rows."""
    exact = [table.c[key] == _value(table, key, value) for key, value in request.query if key in filters]
    inexact = (_inexact(table, filters, key, value) for key, value in request.query)
    return exact + [clause for clause in inexact if clause is not None]


def of_own_domain(request: Request) -> dict[str, t.Any]:
    """A token for a domain sees that domain's rows alone."""
    return {"domain_id": request.context.domain_id} if request.context.domain_id else {}


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


def _value(table: sa.Table, name: str, value: str) -> str | bool:
    return is_true(value) if isinstance(table.c[name].type, sa.Boolean) else value


def _inexact(table: sa.Table, filters: tuple[str, ...], key: str, value: str) -> sa.ColumnElement[bool] | None:
    """LIKE minds case on one database and not on the other; these functions mean the same on both."""
    name, _, comparator = key.partition("__")
    if not comparator or name not in filters or isinstance(table.c[name].type, sa.Boolean):
        return None
    column: t.Any = table.c[name]
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
