"""Quotas: how many of each resource a project may have. Use is counted from the resources' own rows."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Tx, table
from ..kernel.http import BadRequest, Conflict, NotFound, Request
from .bodies import Json
from .service import ADMIN, READER, api

# -- table ---------------------------------------------------------------------------------------------------------

quotas = table(
    "network_quotas",
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("resource", sa.String(64), nullable=False),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    unique={("project_id", "resource"): "Project {project_id} has a quota of {resource} already."},
)


class Counted(t.NamedTuple):
    table: sa.Table
    default: int


LIMITS: dict[str, Counted] = {}
"""The resources that quotas bound; each declares itself beside its table. -1 is without bound."""

MOST = 2**31 - 1


def counted(resource: str, table: sa.Table, default: int) -> None:
    """Declare that a project may have so many rows of `table` (it has `project_id`) unless its quota says otherwise."""
    LIMITS[resource] = Counted(table, default)


def check(tx: Tx, project_id: str, resource: str, more: int = 1) -> None:
    """Raise Conflict where `more` of a resource would be beyond the project's quota. Check before inserting."""
    limit = _limits(tx, project_id)[resource]
    if limit >= 0 and _used(tx, project_id, resource) + more > limit:
        raise Conflict(f"Quota exceeded for resources: ['{resource}'].", kind="OverQuota")


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("get_quota", READER, "Show a project's quotas.")
UPDATE = api.rule("update_quota", ADMIN, "Change a project's quotas.")
DELETE = api.rule("delete_quota", ADMIN, "Give a project the default quotas.")

# -- operations ----------------------------------------------------------------------------------------------------


def _project(tx: Tx, request: Request, project_id: str) -> dict:
    return {"project_id": project_id, "tenant_id": project_id}


@api.op("GET", "/quotas", policy=UPDATE, reply="quotas")
def index(tx: Tx, request: Request) -> list[Json]:
    """List the projects whose quotas are not the default ones."""
    own: dict[str, dict[str, int]] = {}
    for row in tx.rows(quotas, order=quotas.c.project_id):
        own.setdefault(row.project_id, {})[row.resource] = row.hard_limit
    return [_defaults() | limits | {"tenant_id": id, "project_id": id} for id, limits in own.items()]


@api.op("GET", "/quotas/{project_id}", policy=GET, target=_project, reply="quota")
def show(tx: Tx, request: Request, project_id: str) -> Json:
    """Show a project's quotas."""
    return _limits(tx, project_id)


@api.op("GET", "/quotas/{project_id}/default", policy=GET, target=_project, reply="quota")
def default(tx: Tx, request: Request, project_id: str) -> Json:
    """Show the quotas of a project that has none of its own."""
    return _defaults()


@api.op("GET", "/quotas/{project_id}/details", policy=GET, target=_project, reply="quota")
@api.op("GET", "/quotas/{project_id}/details.json", policy=GET, target=_project, reply="quota")
def details(tx: Tx, request: Request, project_id: str) -> Json:
    """Show a project's quotas, and how much of each it uses. Nothing is ever reserved."""
    return {name: {"limit": limit, "used": _used(tx, project_id, name), "reserved": 0} for name, limit in _limits(tx, project_id).items()}


@api.op("PUT", "/quotas/{project_id}", policy=UPDATE, target=_project, reply="quota")
def update(tx: Tx, request: Request, project_id: str, body: Json) -> Json:
    """Change some of a project's quotas."""
    for name, value in _wanted(body, project_id).items():
        if not tx.update(quotas, {"project_id": project_id, "resource": name}, hard_limit=value):
            tx.insert(quotas, project_id=project_id, resource=name, hard_limit=value)
    return _limits(tx, project_id)


@api.op("DELETE", "/quotas/{project_id}", policy=DELETE, target=_project, status=204, errors=(404,))
def delete(tx: Tx, request: Request, project_id: str) -> None:
    """Give a project the default quotas again."""
    if not tx.delete(quotas, project_id=project_id):
        raise NotFound(f"Quota for tenant {project_id} could not be found.", kind="TenantQuotaNotFound")


# -- helpers -------------------------------------------------------------------------------------------------------


def _defaults() -> dict[str, int]:
    return {name: limit.default for name, limit in sorted(LIMITS.items())}


def _limits(tx: Tx, project_id: str) -> dict[str, int]:
    return _defaults() | {row.resource: row.hard_limit for row in tx.rows(quotas, project_id=project_id)}


def _used(tx: Tx, project_id: str, resource: str) -> int:
    rows = LIMITS[resource].table
    return tx.scalar(sa.select(sa.func.count()).select_from(rows).where(rows.c.project_id == project_id))


def _wanted(body: Json, project_id: str) -> dict[str, int]:
    """The quotas in a request, checked. Raises BadRequest."""
    if len(project_id) > 64:
        raise BadRequest("Invalid input for project_id. Reason: it is longer than 64 characters.")
    given = body.get("quota")
    if not isinstance(given, dict):
        raise BadRequest("Unable to find 'quota' in request body", kind="HTTPBadRequest")
    wanted = {}
    for name, value in given.items():
        if name in ("tenant_id", "project_id"):
            continue
        if name not in LIMITS:
            raise BadRequest(f"Unrecognized attribute(s) '{name}'", kind="HTTPBadRequest")
        wanted[name] = _limit(name, value)
    return wanted


def _limit(name: str, value: t.Any) -> int:
    try:
        limit = int(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"Invalid input for {name}. Reason: {value!r} is no whole number.", kind="HTTPBadRequest") from None
    if not -1 <= limit <= MOST:
        raise BadRequest(f"Invalid input for {name}. Reason: {limit} is not between -1 and {MOST}.", kind="HTTPBadRequest")
    return limit
