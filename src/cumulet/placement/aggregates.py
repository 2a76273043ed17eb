"""A provider's aggregates: groups, known by their UUIDs alone, that it is in."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Row, Tx
from ..kernel.http import Body, Reply, Request
from . import ADMIN_OR_SERVICE, api
from .tables import providers
from .wire import Generation, LooseUuid, check_generation, dated, find, plain

# -- wire ----------------------------------------------------------------------------------------------------------

Aggregates = t.Annotated[list[LooseUuid], msgspec.Meta(max_length=10_000)]


class AggregatesSet(Body):
    aggregates: Aggregates
    resource_provider_generation: Generation


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:resource_providers:aggregates:list", ADMIN_OR_SERVICE, "List a provider's aggregates.")
UPDATE = api.rule("placement:resource_providers:aggregates:update", ADMIN_OR_SERVICE, "Set a provider's aggregates.")
BASE = "/resource_providers/{uuid}/aggregates"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", BASE, policy=LIST, first="1.1", errors=(404,))
def show(tx: Tx, request: Request, uuid: str) -> Reply:
    """List the aggregates that a provider is in."""
    return _listed(request, find(tx, uuid))


@api.op("PUT", BASE, policy=UPDATE, first="1.1", last="1.18", errors=(400, 404))
def replace_unguarded(tx: Tx, request: Request, uuid: str, body: Aggregates) -> Reply:
    """Set the aggregates that a provider is in, whatever its generation."""
    row = find(tx, uuid)
    tx.update(providers, row.id, aggregates=frozenset(map(plain, body)))
    return _listed(request, find(tx, uuid))


@api.op("PUT", BASE, policy=UPDATE, first="1.19", errors=(400, 404, 409))
def replace(tx: Tx, request: Request, uuid: str, body: AggregatesSet) -> Reply:
    """Set the aggregates that a provider is in."""
    row = find(tx, uuid)
    check_generation(row, body.resource_provider_generation)
    tx.update(providers, row.id, aggregates=frozenset(map(plain, body.aggregates)), generation=row.generation + 1)
    return _listed(request, find(tx, uuid))


# -- helpers -------------------------------------------------------------------------------------------------------


def _listed(request: Request, row: Row) -> Reply:
    shown: dict[str, t.Any] = {"aggregates": sorted(row.aggregates)}
    if request.version >= (1, 19):
        shown["resource_provider_generation"] = row.generation
    return dated(request, shown, [row])
