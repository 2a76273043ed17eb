"""Inventories: how much of each resource class a provider has."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict, NotFound
from ..kernel.http import Body, Reply, Request
from . import ADMIN_OR_SERVICE, api
from .model import INT_MAX, Inventory
from .tables import allocations, providers
from .wire import CONCURRENT, Amount, ClassName, Generation, check_generation, dated, find, unknown_classes

IN_USE = "placement.inventory.inuse"

# -- wire ----------------------------------------------------------------------------------------------------------


class Amounts(Body):
    total: Amount
    reserved: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] = 0
    min_unit: Amount = 1
    max_unit: Amount = INT_MAX
    step_size: Amount = 1
    allocation_ratio: t.Annotated[float, msgspec.Meta(ge=0, le=3.40282e38)] = 1.0

    def inventory(self) -> Inventory:
        return Inventory(**{name: getattr(self, name) for name in Inventory.__struct_fields__})


class InventoryCreate(Amounts, kw_only=True):
    resource_class: ClassName
    resource_provider_generation: Generation | None = None


class InventoryUpdate(Amounts, kw_only=True):
    resource_provider_generation: Generation


class InventoriesSet(Body):
    resource_provider_generation: Generation
    inventories: dict[ClassName, Amounts]


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:resource_providers:inventories:list", ADMIN_OR_SERVICE, "List a provider's inventories.")
CREATE = api.rule("placement:resource_providers:inventories:create", ADMIN_OR_SERVICE, "Add an inventory.")
SHOW = api.rule("placement:resource_providers:inventories:show", ADMIN_OR_SERVICE, "Show an inventory.")
UPDATE = api.rule("placement:resource_providers:inventories:update", ADMIN_OR_SERVICE, "Change inventories.")
DELETE = api.rule("placement:resource_providers:inventories:delete", ADMIN_OR_SERVICE, "Delete inventories.")
BASE = "/resource_providers/{uuid}/inventories"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", BASE, policy=LIST, errors=(404,))
def index(tx: Tx, request: Request, uuid: str) -> Reply:
    """List a provider's inventories."""
    return _listed(request, find(tx, uuid))


@api.op("POST", BASE, policy=CREATE, status=201, errors=(400, 404, 409))
def create(tx: Tx, request: Request, uuid: str, body: InventoryCreate) -> Reply:
    """Add the inventory of one class."""
    row = find(tx, uuid)
    name = body.resource_class
    if body.resource_provider_generation is not None:
        check_generation(row, body.resource_provider_generation)
    if name in row.inventories:
        raise Conflict(f"Update conflict: provider {row.id} has an inventory of {name} already.", kind=CONCURRENT)
    row = change(tx, request, row, {**row.inventories, name: body.inventory()}, "create")
    return _one(request, row, name, headers={"Location": f"{api.prefix}/resource_providers/{row.id}/inventories/{name}"})


@api.op("PUT", BASE, policy=UPDATE, errors=(400, 404, 409))
def replace(tx: Tx, request: Request, uuid: str, body: InventoriesSet) -> Reply:
    """Set all of a provider's inventories."""
    row = find(tx, uuid)
    check_generation(row, body.resource_provider_generation)
    return _listed(request, change(tx, request, row, {name: one.inventory() for name, one in body.inventories.items()}, "update"))


@api.op("DELETE", BASE, policy=DELETE, first="1.5", status=204, errors=(404, 409))
def delete_all(tx: Tx, request: Request, uuid: str) -> None:
    """Delete all of a provider's inventories."""
    change(tx, request, find(tx, uuid), {}, "delete")


@api.op("GET", BASE + "/{resource_class}", policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, uuid: str, resource_class: str) -> Reply:
    """Show the inventory of one class."""
    row = find(tx, uuid)
    if resource_class not in row.inventories:
        raise NotFound(f"No inventory of class {resource_class} for {row.id}")
    return _one(request, row, resource_class)


@api.op("PUT", BASE + "/{resource_class}", policy=UPDATE, errors=(400, 404, 409))
def update(tx: Tx, request: Request, uuid: str, resource_class: str, body: InventoryUpdate) -> Reply:
    """Change the inventory of one class."""
    row = find(tx, uuid)
    check_generation(row, body.resource_provider_generation)
    if resource_class not in row.inventories:
        raise BadRequest(f"Unable to update inventory for resource provider {row.id}: it has none of class {resource_class}.")
    row = change(tx, request, row, {**row.inventories, resource_class: body.inventory()}, "update")
    return _one(request, row, resource_class)


@api.op("DELETE", BASE + "/{resource_class}", policy=DELETE, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, uuid: str, resource_class: str) -> None:
    """Delete the inventory of one class."""
    row = find(tx, uuid)
    if resource_class not in row.inventories:
        raise NotFound(f"No inventory of class {resource_class} found for delete: provider {row.id} has none.")
    rest = {name: one for name, one in row.inventories.items() if name != resource_class}
    change(tx, request, row, rest, "delete", in_use=CONCURRENT)


# -- what others ask -----------------------------------------------------------------------------------------------


def change(tx: Tx, request: Request, row: Row, wanted: t.Mapping[str, Inventory], verb: str, in_use: str = IN_USE) -> Row:
    """Set a provider's inventories and move its generation on. Raises BadRequest for a class that there is not or an
    inventory that offers nothing, Conflict where a class that is in use would go."""
    what = f"Unable to {verb} inventory for resource provider {row.id}:"
    if unknown := unknown_classes(tx, wanted):
        raise BadRequest(f"{what} No such resource class {', '.join(unknown)}.")
    for name, inventory in wanted.items():
        _check_capacity(request, name, inventory, what)
    refuse_in_use(tx, row, set(row.inventories) - set(wanted), in_use)
    tx.update(providers, row.id, inventories=wanted, generation=row.generation + 1)
    return find(tx, row.id)


def refuse_in_use(tx: Tx, row: Row, gone: t.Collection[str], kind: str = IN_USE) -> None:
    """Raise Conflict where something of these classes is allocated from the provider."""
    clause = (allocations.c.provider_id == row.id) & allocations.c.resource_class.in_(gone)
    used = tx.execute(sa.select(allocations.c.resource_class).where(clause).distinct()).scalars().all() if gone else []
    if used:
        raise Conflict(f"update conflict: Inventory for '{', '.join(sorted(used))}' on resource provider '{row.id}' in use.", kind=kind)


# -- helpers -------------------------------------------------------------------------------------------------------


def _check_capacity(request: Request, name: str, inventory: Inventory, what: str) -> None:
    if inventory.capacity < 0 or (inventory.capacity == 0 and request.version < (1, 26)):
        limit = "reserved value is greater than total" if request.version >= (1, 26) else "reserved value is greater than or equal to total"
        raise BadRequest(f"{what} Invalid inventory for '{name}'. The {limit}.")


def _listed(request: Request, row: Row) -> Reply:
    shown = {name: msgspec.to_builtins(inventory) for name, inventory in row.inventories.items()}
    return dated(request, {"resource_provider_generation": row.generation, "inventories": shown}, [row])


def _one(request: Request, row: Row, name: str, headers: dict[str, str] | None = None) -> Reply:
    shown = msgspec.to_builtins(row.inventories[name]) | {"resource_provider_generation": row.generation}
    return dated(request, shown, [row], headers=headers)
