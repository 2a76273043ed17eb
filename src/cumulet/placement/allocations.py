"""Allocations: what each consumer has of which provider. All of a consumer's are written at once, or none."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict, NotFound
from ..kernel.http import UNSET, Body, Reply, Request, UnsetType, since
from . import ADMIN_OR_SERVICE, api
from .claims import NoCapacity, check, release, replace
from .tables import allocations, consumers, providers
from .wire import CONCURRENT, Amount, ClassName, Generation, LooseUuid, Owner, Uuid, dated, find, plain, unknown_classes

NOBODY = "00000000-0000-0000-0000-000000000000"
"""The project and user of consumers that were made before 1.8 asked for them."""

# -- wire ----------------------------------------------------------------------------------------------------------

Amounts = t.Annotated[dict[ClassName, Amount], msgspec.Meta(min_length=1)]
Suffix = t.Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{0,64}$")]


class ProviderNamed(Body):
    uuid: LooseUuid


class OldAllocation(Body):
    resource_provider: ProviderNamed
    resources: Amounts


class OldAllocations(Body):
    allocations: t.Annotated[list[OldAllocation], msgspec.Meta(min_length=1)]
    project_id: t.Annotated[Owner | UnsetType, since("1.8")] = UNSET
    user_id: t.Annotated[Owner | UnsetType, since("1.8")] = UNSET


class Allocation(Body):
    resources: Amounts
    generation: Generation | None = None


class Wanted(Body):
    """What one consumer shall have."""

    allocations: dict[Uuid, Allocation]
    project_id: Owner
    user_id: Owner
    consumer_generation: Generation | None | UnsetType = UNSET
    mappings: dict[Suffix, list[Uuid]] | UnsetType = UNSET
    consumer_type: ClassName | UnsetType = UNSET


LATER = {"consumer_generation": (1, 28), "mappings": (1, 34), "consumer_type": (1, 38)}
"""Fields of `Wanted` -> the microversion that brought them; consumers are values of a mapping, where marks do not reach."""


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:allocations:list", ADMIN_OR_SERVICE, "List a consumer's allocations.")
MANAGE = api.rule("placement:allocations:manage", ADMIN_OR_SERVICE, "Write the allocations of several consumers.")
UPDATE = api.rule("placement:allocations:update", ADMIN_OR_SERVICE, "Write a consumer's allocations.")
DELETE = api.rule("placement:allocations:delete", ADMIN_OR_SERVICE, "Delete a consumer's allocations.")
OF_PROVIDER = api.rule("placement:resource_providers:allocations:list", ADMIN_OR_SERVICE, "List a provider's allocations.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/allocations/{consumer}", policy=LIST)
def show(tx: Tx, request: Request, consumer: str) -> Reply:
    """List a consumer's allocations; one that there is not has none."""
    id = plain(consumer) if ids.is_uuid(consumer) else ""
    statement = sa.select(allocations, providers.c.generation).join(providers).where(allocations.c.consumer_id == id)
    found: dict[str, dict] = {}
    rows = tx.all(statement)
    for row in rows:
        entry = found.setdefault(row.provider_id, {"resources": {}, "generation": row.generation})
        entry["resources"][row.resource_class] = row.used
    shown: dict[str, t.Any] = {"allocations": found}
    if rows and request.version >= (1, 12):
        shown |= _owner(request, tx.rows(consumers, id=id)[0])
    return dated(request, shown, rows)


@api.op("PUT", "/allocations/{consumer}", policy=UPDATE, last="1.11", status=204, errors=(400, 409))
def put_old(tx: Tx, request: Request, consumer: str, body: OldAllocations) -> None:
    """Write a consumer's allocations, as a list."""
    if request.version >= (1, 8) and (body.project_id is UNSET or body.user_id is UNSET):
        raise BadRequest("JSON does not validate: 'project_id' and 'user_id' are required properties")
    wanted = Wanted(
        allocations={plain(one.resource_provider.uuid): Allocation(resources=one.resources) for one in body.allocations},
        project_id=body.project_id or NOBODY, user_id=body.user_id or NOBODY,
    )  # fmt: skip
    write(tx, request, {_consumer(consumer): wanted})


@api.op("PUT", "/allocations/{consumer}", policy=UPDATE, first="1.12", status=204, errors=(400, 409))
def put(tx: Tx, request: Request, consumer: str, body: Wanted) -> None:
    """Write a consumer's allocations; from 1.28 on, none deletes them."""
    if not body.allocations and request.version < (1, 28):
        raise BadRequest("JSON does not validate: allocations does not have enough properties")
    write(tx, request, {_consumer(consumer): body})


@api.op("POST", "/allocations", policy=MANAGE, first="1.13", status=204, errors=(400, 409))
def post(tx: Tx, request: Request, body: dict[Uuid, Wanted]) -> None:
    """Write the allocations of several consumers, all or none."""
    if not body:
        raise BadRequest("JSON does not validate: {} does not have enough properties")
    write(tx, request, {plain(consumer): wanted for consumer, wanted in body.items()})


@api.op("DELETE", "/allocations/{consumer}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, consumer: str) -> None:
    """Delete a consumer's allocations."""
    if not ids.is_uuid(consumer) or tx.get(consumers, id=plain(consumer)) is None:
        raise NotFound(f"No allocations for consumer '{consumer}'")
    release(tx, plain(consumer))


@api.op("GET", "/resource_providers/{uuid}/allocations", policy=OF_PROVIDER, errors=(404,))
def of_provider(tx: Tx, request: Request, uuid: str) -> Reply:
    """List what consumers have of a provider."""
    row = find(tx, uuid)
    found: dict[str, dict] = {}
    rows = tx.all(sa.select(allocations, consumers.c.generation).join(consumers).where(allocations.c.provider_id == row.id))
    for one in rows:
        generation = {"consumer_generation": one.generation} if request.version >= (1, 28) else {}
        entry = found.setdefault(one.consumer_id, {"resources": {}} | generation)
        entry["resources"][one.resource_class] = one.used
    return dated(request, {"allocations": found, "resource_provider_generation": row.generation}, rows)


# -- what others ask -----------------------------------------------------------------------------------------------


def write(tx: Tx, request: Request, wanted: t.Mapping[str, Wanted]) -> None:
    """Make these all that the consumers have. Raises BadRequest for a provider or class that there is not, Conflict
    where something does not fit or a consumer changed since the client read it."""
    amounts = {consumer: {plain(provider): one.resources for provider, one in of.allocations.items()} for consumer, of in wanted.items()}
    _check_names(tx, amounts)
    for consumer, of in wanted.items():
        _ensure_consumer(tx, request, consumer, of)
    try:
        check(tx, amounts)
    except NoCapacity as error:
        raise Conflict(f"Unable to allocate inventory: {error.message}") from None
    replace(tx, amounts)
    for consumer, of in wanted.items():
        if not of.allocations:
            tx.delete(consumers, id=consumer)


# -- helpers -------------------------------------------------------------------------------------------------------


def _consumer(id: str) -> str:
    if not ids.is_uuid(id):
        raise BadRequest(f"Malformed consumer_uuid: {id}")
    return plain(id)


def _check_names(tx: Tx, amounts: t.Mapping[str, t.Mapping[str, t.Mapping[str, int]]]) -> None:
    named = {provider for of in amounts.values() for provider in of}
    known = set(tx.execute(sa.select(providers.c.id).where(providers.c.id.in_(named))).scalars())
    if missing := sorted(named - known):
        raise BadRequest(f"Allocation for resource provider '{missing[0]}' that does not exist.")
    if unknown := unknown_classes(tx, {name for of in amounts.values() for resources in of.values() for name in resources}):
        raise BadRequest(f"Unable to allocate inventory: No such resource class {', '.join(unknown)}.")


def _ensure_consumer(tx: Tx, request: Request, id: str, wanted: Wanted) -> None:
    """Make the consumer, or bring it up to date; from 1.28 on only where it is at the generation that the client says."""
    _check_fields(request, wanted)
    row = tx.get(consumers, id=id)
    if request.version >= (1, 28):
        _check_consumer(row, wanted.consumer_generation, id)
    values: dict[str, t.Any] = {"project_id": wanted.project_id, "user_id": wanted.user_id}
    if wanted.consumer_type is not UNSET:
        values["type"] = wanted.consumer_type
    if row is None:
        tx.insert(consumers, id=id, generation=1, **values)
    else:
        tx.update(consumers, id, generation=row.generation + 1, **values)


def _check_fields(request: Request, wanted: Wanted) -> None:
    for name, first in LATER.items():
        given = getattr(wanted, name) is not UNSET
        if given and request.version < first:
            raise BadRequest(f"JSON does not validate: Additional properties are not allowed ('{name}' was unexpected)")
        if not given and request.version >= first and name != "mappings":
            raise BadRequest(f"JSON does not validate: '{name}' is a required property")


def _check_consumer(row: Row | None, given: int | None | UnsetType, id: str) -> None:
    now = row.generation if row else None
    if now != given:
        expected, got = ("null" if value is None else value for value in (now, given))
        raise Conflict(f"consumer generation conflict - expected {expected} but got {got} for consumer {id}", kind=CONCURRENT)


def _owner(request: Request, row: Row) -> dict[str, t.Any]:
    shown = {"project_id": row.project_id, "user_id": row.user_id}
    if request.version >= (1, 28):
        shown["consumer_generation"] = row.generation
    if request.version >= (1, 38):
        shown["consumer_type"] = row.type or "unknown"
    return shown
