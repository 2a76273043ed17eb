"""The reshaper: moves inventories among providers, and the allocations that use them, in one go."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Tx
from ..kernel.errors import BadRequest
from ..kernel.http import Body, Request
from . import SERVICE, api, inventories
from .allocations import Wanted, write
from .tables import providers
from .wire import NOT_FOUND, Uuid, check_generation, plain

# -- wire ----------------------------------------------------------------------------------------------------------


class Reshape(Body):
    inventories: t.Annotated[dict[Uuid, inventories.InventoriesSet], msgspec.Meta(min_length=1)]
    allocations: dict[Uuid, Wanted]


# -- policy --------------------------------------------------------------------------------------------------------

RESHAPE = api.rule("placement:reshaper:reshape", SERVICE, "Move inventories and allocations among providers.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/reshaper", policy=RESHAPE, first="1.30", status=204, errors=(400, 409))
def reshape(tx: Tx, request: Request, body: Reshape) -> None:
    """Set the inventories of some providers and the allocations of some consumers together.

    Inventories grow first and shrink last, so that each allocation finds where it goes and has left where it was."""
    rows = {}
    for uuid, wanted in body.inventories.items():
        row = tx.get(providers, id=plain(uuid))
        if row is None:
            raise BadRequest(f"Resource provider {uuid} in inventories does not exist.", kind=NOT_FOUND)
        check_generation(row, wanted.resource_provider_generation)
        rows[row.id] = (row, {name: one.inventory() for name, one in wanted.inventories.items()})
    for row, wanted in rows.values():
        inventories.change(tx, request, row, {**row.inventories, **wanted}, "update")
    write(tx, request, {plain(consumer): wanted for consumer, wanted in body.allocations.items()})
    for id, (_, wanted) in rows.items():
        row = tx.rows(providers, id=id)[0]
        inventories.refuse_in_use(tx, row, set(row.inventories) - set(wanted))
        tx.update(providers, id, inventories=wanted)
