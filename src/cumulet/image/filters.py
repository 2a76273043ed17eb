"""What a list's query asks of single columns: operators before values, moments, flags, and the order.

What is asked for is a condition with parameters, made once for a column and an operator: making one costs more than asking the database.
"""

from __future__ import annotations

import functools
import re
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Texts, each
from ..kernel.http import BadRequest

COMPARE: dict[str, t.Callable[[t.Any, t.Any], sa.ColumnElement[bool]]] = {
    "gt": lambda c, v: c > v, "gte": lambda c, v: c >= v, "lt": lambda c, v: c < v, "lte": lambda c, v: c <= v,
    "eq": lambda c, v: c == v, "neq": lambda c, v: c != v, "in": lambda c, v: c.in_(v),
}  # fmt: skip
INT64_MAX = 2**63 - 1
SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Asked(t.NamedTuple):
    """A condition, which is the same one for all requests that ask for the like, and the values of its parameters."""

    condition: sa.ColumnElement[bool]
    values: dict[str, t.Any] = {}


def text(column: sa.Column, value: str) -> Asked:
    """`x`, `eq:x`, or `in:x,"y, z"` for one of several. Raises BadRequest for an operator that texts do not have."""
    operator, colon, rest = value.partition(":")
    if not colon:
        return compared(column, "eq", value)
    if operator == "in":
        return compared(column, "in", _listed(rest))
    if operator != "eq":
        raise BadRequest(f"Unable to filter by unknown operator '{operator}'.")
    return compared(column, "eq", rest)


def moment(column: sa.Column, value: str) -> Asked:
    """A time, alone or after an operator: `gt:2026-01-31T12:00:00Z`. Raises BadRequest for what is none."""
    operator, colon, rest = value.partition(":")
    if colon and operator.isalpha() and operator != "in":
        if operator not in COMPARE:
            raise BadRequest("Unable to filter on a unknown operator.")
    else:
        operator, rest = "eq", value
    try:
        return compared(column, operator, clock.parse(rest))
    except (ValueError, OverflowError):
        raise BadRequest(f'Bad "{column.name}" query filter format. Use ISO 8601 DateTime notation.') from None


def compared(column: sa.Column, operator: str, value: t.Any) -> Asked:
    """operator: one of COMPARE; the value of `in` is a list."""
    parameter = f"{operator}_{column.name}"
    return Asked(_comparison(column, operator, parameter), {parameter: value})


@functools.cache
def _comparison(column: sa.Column, operator: str, parameter: str) -> sa.ColumnElement[bool]:
    return COMPARE[operator](column, each(sa.bindparam(parameter, type_=Texts)) if operator == "in" else sa.bindparam(parameter))


def amount(value: str) -> int:
    """Bytes that a size is to be above or below. Raises BadRequest."""
    if not re.fullmatch(r"-?[0-9]+", value):
        raise BadRequest("Unable to filter on a range with a non-numeric value.")
    return max(-1, min(int(value[:20]), INT64_MAX))


def flag(name: str, value: str) -> bool:
    """Raises BadRequest for what is neither true nor false."""
    if value not in ("true", "false"):
        raise BadRequest(f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value == "true"


def order(sort: str | None, keys: list[str], directions: list[str]) -> list[tuple[str, str]]:
    """Both ways of saying it: `sort=name:asc,size` or `sort_key=name&sort_dir=asc`. Raises BadRequest."""
    if sort is not None and (keys or directions):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    if sort is not None:
        pairs = [entry.strip().partition(":") for entry in sort.split(",")]
        keys, directions = [key for key, _, _ in pairs], [direction or "desc" for _, _, direction in pairs]
    keys = keys or ["created_at"]
    if len(directions) > 1 and len(directions) != len(keys):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    for key in keys:
        if key not in SORT_KEYS:
            raise BadRequest(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction}")
    return list(zip(keys, directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys), strict=True))


def _listed(value: str) -> list[str]:
    """Values between commas; what has commas itself is in quotes, and a quote in those behind a backslash. Raises BadRequest."""
    found, rest = [], value
    while rest:
        if rest.startswith('"'):
            quoted = _QUOTED.match(rest)
            if quoted is None:
                raise BadRequest(f"Invalid filter value {value}. The quote is not closed.")
            item, rest = re.sub(r"\\(.)", r"\1", quoted[1]), rest[quoted.end() :]
            if rest and not rest.startswith(","):
                raise BadRequest(f"Invalid filter value {value}. There is no comma after closing quotation mark.")
            rest = rest[1:]
        else:
            item, _, rest = rest.partition(",")
            if '"' in item:
                raise BadRequest(f"Invalid filter value {value}. There is no comma before opening quotation mark.")
        found.append(item)
    return found or [""]
