"""What a list's query asks of single columns: operators before values, moments, flags, and the order."""

from __future__ import annotations

import re
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.http import BadRequest

COMPARE: dict[str, t.Callable[[t.Any, t.Any], sa.ColumnElement[bool]]] = {
    "gt": lambda c, v: c > v, "gte": lambda c, v: c >= v, "lt": lambda c, v: c < v, "lte": lambda c, v: c <= v,
    "eq": lambda c, v: c == v, "neq": lambda c, v: c != v,
}  # fmt: skip
SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
_LISTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?:,|$)|([^",]*)(?:,|$)')


def text(column: sa.Column, value: str) -> sa.ColumnElement[bool]:
    """`x`, `eq:x`, or `in:x,"y, z"` for one of several. Raises BadRequest for an operator that texts do not have."""
    operator, _, rest = value.partition(":")
    if operator == "in":
        return column.in_(_listed(rest))
    if operator in COMPARE.keys() - {"eq"}:
        raise BadRequest(f"Unable to filter by unknown operator '{operator}'.")
    return column == (rest if operator == "eq" else value)


def moment(column: sa.Column, value: str) -> sa.ColumnElement[bool]:
    """A time, alone or after an operator: `gt:2026-01-31T12:00:00Z`. Raises BadRequest for what is none."""
    operator, _, rest = value.partition(":") if value.partition(":")[0] in COMPARE else ("eq", "", value)
    try:
        return COMPARE[operator](column, clock.parse(rest))
    except (ValueError, OverflowError):
        raise BadRequest(f'Bad "{column.name}" query filter format. Use ISO 8601 DateTime notation.') from None


def flag(name: str, value: str) -> bool:
    """Raises BadRequest for what is neither true nor false."""
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value.lower() == "true"


def order(sort: str | None, keys: list[str], directions: list[str]) -> list[tuple[str, str]]:
    """Both ways of saying it: `sort=name:asc,size` or `sort_key=name&sort_dir=asc`. Raises BadRequest."""
    if sort and (keys or directions):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    if sort:
        pairs = [entry.strip().partition(":") for entry in sort.split(",")]
        keys, directions = [key for key, _, _ in pairs], [direction or "desc" for _, _, direction in pairs]
    keys = keys or ["created_at"]
    if len(directions) > 1 and len(directions) != len(keys):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    if unknown := next((key for key in keys if key not in SORT_KEYS), None):
        raise BadRequest(f"Invalid sort key: {unknown}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    return list(zip(keys, directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys), strict=True))


def _listed(value: str) -> list[str]:
    """Values between commas; what has commas itself is in quotes, and a quote in those behind a backslash."""
    found, at = [], 0
    while at < len(value):
        match = _LISTED.match(value, at)
        if match is None:
            raise BadRequest(f"Invalid filter value {value}. Its quotation marks do not go with its commas.")
        found.append(match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
    return found or [""]
