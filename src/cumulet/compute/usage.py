"""Usage: how long which servers of a project were there in some time, and how big they were."""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Page, Query, Request, paged
from . import ADMIN, PROJECT_READER, api
from .servers.tables import servers

# -- wire ----------------------------------------------------------------------------------------------------------


class UsageQuery(Query):
    start: str | None = None
    end: str | None = None
    detailed: str = "0"
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-simple-tenant-usage:list", ADMIN, "List the usage of all projects.")
SHOW = api.rule("os_compute_api:os-simple-tenant-usage:show", PROJECT_READER, "Show a project's usage.")

# -- operations ----------------------------------------------------------------------------------------------------


def _project(tx: Tx, request: Request, id: str) -> dict:
    return {"project_id": id}


@api.op("GET", "/os-simple-tenant-usage", policy=LIST, reply="tenant_usages", errors=(400,))
def index(tx: Tx, request: Request, query: UsageQuery) -> Page:
    """List the usage of every project that has servers."""
    start, end = _period(query)
    rows, marker = _servers(tx, request, query, start, end)
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.project_id, []).append(row)
    return Page([_usage(project, of, start, end, query.detailed == "1") for project, of in found.items()], marker)


@api.op("GET", "/os-simple-tenant-usage/{id}", policy=SHOW, target=_project, errors=(400,))
def show(tx: Tx, request: Request, id: str, query: UsageQuery) -> dict:
    """Show a project's usage."""
    start, end = _period(query)
    rows, marker = _servers(tx, request, query, start, end, servers.c.project_id == id)
    shown: dict[str, t.Any] = {"tenant_usage": _usage(id, rows, start, end, detailed=True) if rows else {}}
    if marker:
        shown["tenant_usage_links"] = [{"rel": "next", "href": request.link_to_page(marker)}]
    return shown


# -- helpers -------------------------------------------------------------------------------------------------------


def _period(query: UsageQuery) -> tuple[dt.datetime, dt.datetime]:
    start, end = _moment(query.start), _moment(query.end)
    if start >= end:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return start, min(end, clock.now())


def _moment(text: str | None) -> dt.datetime:
    if not text:
        return clock.now()
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f"):
        try:
            return dt.datetime.strptime(text, form)
        except ValueError:
            continue
    raise BadRequest(f"Datetime is in invalid format: {text}. Write it as in 2026-01-31T12:00:00.")


def _servers(tx: Tx, request: Request, query: UsageQuery, start: dt.datetime, end: dt.datetime,
             clause: sa.ColumnElement[bool] | None = None) -> tuple[list[Row], str | None]:  # fmt: skip
    statement = sa.select(servers).where(servers.c.launched_at.is_not(None), servers.c.launched_at < end)
    if clause is not None:
        statement = statement.where(clause)
    pages = request.version >= (2, 40)
    return paged(tx, statement, servers, order=[("created_at", "asc")], limit=query.limit if pages else None,
                 marker=query.marker if pages else None, most=request.runtime.config.page_limit if pages else 10**9)  # fmt: skip


def _usage(project: str, rows: list[Row], start: dt.datetime, end: dt.datetime, detailed: bool) -> dict[str, t.Any]:
    each = [_server(row, start, end) for row in rows]
    total = lambda size: sum(one["hours"] * (one[size] if size else 1) for one in each)
    shown = {
        "tenant_id": project, "start": start.isoformat(timespec="microseconds"), "stop": end.isoformat(timespec="microseconds"),
        "total_hours": total(""), "total_local_gb_usage": total("local_gb"), "total_memory_mb_usage": total("memory_mb"),
        "total_vcpus_usage": total("vcpus"),
    }  # fmt: skip
    return shown | ({"server_usages": each} if detailed else {})


def _server(row: Row, start: dt.datetime, end: dt.datetime) -> dict[str, t.Any]:
    hours = max((end - max(row.launched_at, start)).total_seconds(), 0) / 3600
    return {
        "instance_id": row.id, "name": row.name, "tenant_id": row.project_id, "flavor": row.flavor["name"], "hours": hours,
        "vcpus": row.vcpus, "memory_mb": row.memory_mib, "local_gb": row.flavor["disk"] + row.flavor["ephemeral"],
        "started_at": row.launched_at.isoformat(timespec="microseconds"), "ended_at": None, "state": row.vm_state,
        "uptime": int((clock.now() - row.launched_at).total_seconds()),
    }  # fmt: skip
