"""What the lists of volumes, snapshots, backups and groups have in common: whose, in which order, counted."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Query, Request, paged
from .wire import INT_MAX, TRUE, wire


class ListQuery(Query):
    """The parameters that every list takes."""

    all_tenants: str | None = None
    project_id: str | None = None
    name: str | None = None
    display_name: str | None = None
    name_like: str | None = wire("name~", None)
    status: str | None = None
    metadata: str | None = None
    sort: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None
    limit: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | None = None
    offset: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | None = None
    marker: str | None = None
    with_count: str | None = None


def page(tx: Tx, request: Request, query: ListQuery, table: sa.Table, clauses: t.Iterable[sa.ColumnElement[bool]]
         ) -> tuple[list[Row], str | None, dict | None]:  # fmt: skip
    """A page's rows, the next one's marker, and what else the answer holds."""
    check_marker(tx, table, query.marker)
    clauses = list(clauses)
    statement = sa.select(table).where(*clauses)
    if query.offset:
        statement = statement.offset(query.offset)
    rows, marker = paged(tx, statement, table, order=order(query, table), limit=query.limit, marker=query.marker,
                         most=request.runtime.config.page_limit)  # fmt: skip
    return rows, marker, _count(tx, request, query, table, clauses)


def check_marker(tx: Tx, table: sa.Table, marker: str | None) -> None:
    """Raise NotFound where a marker names nothing."""
    if marker is not None and tx.get(table, id=marker) is None:
        raise NotFound(f"marker [{marker}] not found")


class Sorted(t.Protocol):
    sort: str | None
    sort_key: str | None
    sort_dir: str | None


def order(query: Sorted, table: sa.Table) -> list[tuple[str, str]]:
    """Sorting as clients ask for it: `sort=name:asc,size`, or one key and one direction. Raises BadRequest."""
    if query.sort and (query.sort_key or query.sort_dir):
        raise BadRequest("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.")
    pairs = [entry.strip().partition(":")[::2] for entry in query.sort.split(",")] if query.sort else [
        (query.sort_key or "created_at", query.sort_dir or "desc")]  # fmt: skip
    found = [({"display_name": "name"}.get(name, name), way or "desc") for name, way in pairs]
    if bad := [name for name, _ in found if name in table.c and isinstance(table.c[name].type, sa.JSON)]:
        raise BadRequest(f"Invalid sort key {bad[0]}: lists are not sorted by it.")
    return found


def whose(request: Request, query: ListQuery, table: sa.Table) -> t.Iterator[sa.ColumnElement[bool]]:
    """The caller's project's, or everybody's where an administrator asks for that."""
    if request.context.is_admin and (query.all_tenants or "0").lower() not in ("0", "false", "no", "off"):
        if query.project_id:
            yield table.c.project_id == query.project_id
    else:
        yield table.c.project_id == request.context.project_id


def named(query: ListQuery, table: sa.Table) -> t.Iterator[sa.ColumnElement[bool]]:
    """The filters on name, status and metadata."""
    if (name := query.name or query.display_name) is not None:
        yield table.c.name == name
    if query.name_like is not None:
        yield table.c.name.contains(query.name_like, autoescape=True)
    if query.status is not None:
        yield table.c.status == query.status
    if query.metadata is not None and "metadata" in table.c:
        for key, value in _mapping(query.metadata).items():
            yield table.c.metadata[key].as_string() == value


def _count(tx: Tx, request: Request, query: ListQuery, table: sa.Table, clauses: list) -> dict | None:
    if request.version < (3, 45) or (query.with_count or "").lower() not in TRUE:
        return None
    return {"count": tx.scalar(sa.select(sa.func.count()).select_from(table).where(*clauses))}


def _mapping(text: str) -> dict[str, str]:
    """A metadata filter: a mapping as JSON, or as Python prints it (which is what clients send)."""
    try:
        return msgspec.json.decode(text.replace("u'", "'").replace("'", '"'), type=dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadRequest(f"Invalid filter metadata: {text} is not a mapping of texts.") from None
