"""Usages: how much of each resource class is allocated, from one provider or by one project."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.http import Query, Reply, Request
from . import ADMIN_OR_SERVICE, READER, api
from .claims import with_use
from .tables import allocations, consumers
from .wire import Owner, dated, find, only_known

# -- wire ----------------------------------------------------------------------------------------------------------


class UsageQuery(Query):
    project_id: Owner
    user_id: Owner | None = None
    consumer_type: t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^([A-Z0-9_]+|all|unknown)$")] | None = None


# -- policy --------------------------------------------------------------------------------------------------------

OF_PROVIDER = api.rule("placement:resource_providers:usages", ADMIN_OR_SERVICE, "List what is used of a provider.")
TOTAL = api.rule("placement:usages", READER, "List what a project uses.")


def _project(tx: Tx, request: Request) -> dict:
    return {"project_id": next((value for name, value in request.query if name == "project_id"), None)}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/resource_providers/{uuid}/usages", policy=OF_PROVIDER, errors=(404,))
def of_provider(tx: Tx, request: Request, uuid: str) -> Reply:
    """List how much of each class of its inventories is used of a provider."""
    row = find(tx, uuid)
    used = with_use(tx, [row])[0].used
    shown = {name: used.get(name, 0) for name in row.inventories}
    return dated(request, {"resource_provider_generation": row.generation, "usages": shown})


@api.op("GET", "/usages", policy=TOTAL, target=_project, first="1.9", errors=(400,))
def total(tx: Tx, request: Request, query: UsageQuery) -> Reply:
    """List how much of each class a project, or one user of it, uses."""
    typed = request.version >= (1, 38)
    only_known(request, ("project_id", "user_id", *(("consumer_type",) if typed else ())))
    clause = consumers.c.project_id == query.project_id
    if query.user_id is not None:
        clause &= consumers.c.user_id == query.user_id
    return dated(request, {"usages": _by_type(tx, clause, query.consumer_type) if typed else _sums(tx, clause)})


# -- helpers -------------------------------------------------------------------------------------------------------


def _sums(tx: Tx, clause: sa.ColumnElement[bool]) -> dict[str, int]:
    statement = sa.select(allocations.c.resource_class, sa.func.sum(allocations.c.used)).join(consumers)
    return {name: int(used) for name, used in tx.all(statement.where(clause).group_by(allocations.c.resource_class))}


def _by_type(tx: Tx, clause: sa.ColumnElement[bool], wanted: str | None) -> dict[str, dict[str, int]]:
    """Sums and the number of consumers, by type of consumer; `all` puts every type into one."""
    if wanted == "unknown":
        clause &= consumers.c.type.is_(None)
    elif wanted not in (None, "all"):
        clause &= consumers.c.type == wanted
    kind = consumers.c.type
    counted = tx.all(sa.select(kind, sa.func.count()).where(clause).group_by(kind))
    summed = tx.all(
        sa.select(kind, allocations.c.resource_class, sa.func.sum(allocations.c.used)).select_from(allocations).join(consumers)
        .where(clause).group_by(kind, allocations.c.resource_class)
    )  # fmt: skip
    found: dict[str, dict[str, int]] = {}
    for type_name, name, amount in [*((kind, "consumer_count", count) for kind, count in counted), *summed]:
        entry = found.setdefault("all" if wanted == "all" else type_name or "unknown", {})
        entry[name] = entry.get(name, 0) + int(amount)
    return found
