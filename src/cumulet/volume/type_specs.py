"""A volume type's extra specs: what its volumes' hosts must have (`storage_protocol`), and what its volumes can
(`multiattach` = `<is> True`)."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Request
from . import ADMIN, READER, api
from .tables import types
from .types import Specs, find_by_id, visible_specs
from .wire import check_one_key

INDEX = api.rule("volume_extension:types_extra_specs:index", READER, "List a volume type's extra specs.")
SHOW = api.rule("volume_extension:types_extra_specs:show", READER, "Show one of a volume type's extra specs.")
CREATE = api.rule("volume_extension:types_extra_specs:create", ADMIN, "Add extra specs to a volume type.")
UPDATE = api.rule("volume_extension:types_extra_specs:update", ADMIN, "Change one of a volume type's extra specs.")
DELETE = api.rule("volume_extension:types_extra_specs:delete", ADMIN, "Remove one of a volume type's extra specs.")
PATH = "/types/{id}/extra_specs"


@api.op("GET", PATH, policy=INDEX, reply="extra_specs", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> dict:
    """List a volume type's extra specs."""
    return visible_specs(request, find_by_id(tx, request.context, id))


@api.op("POST", PATH, policy=CREATE, wrap="extra_specs", errors=(400, 404))
def create(tx: Tx, request: Request, id: str, body: Specs) -> dict:
    """Add extra specs to a volume type, or change them."""
    _keep(tx, find_by_id(tx, request.context, id), body)
    return body


@api.op("GET", PATH + "/{key}", policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, id: str, key: str) -> dict:
    """Show one extra spec."""
    return {key: _one(visible_specs(request, find_by_id(tx, request.context, id)), id, key)}


@api.op("PUT", PATH + "/{key}", policy=UPDATE, errors=(400, 404))
def update(tx: Tx, request: Request, id: str, key: str, body: Specs) -> dict:
    """Set one extra spec."""
    row = find_by_id(tx, request.context, id)
    check_one_key(body, key)
    _keep(tx, row, body)
    return body


@api.op("DELETE", PATH + "/{key}", policy=DELETE, status=202, errors=(404,))
def delete(tx: Tx, request: Request, id: str, key: str) -> None:
    """Remove one extra spec."""
    row = find_by_id(tx, request.context, id)
    _one(row.extra_specs, id, key)
    tx.update(types, row.id, extra_specs={name: value for name, value in row.extra_specs.items() if name != key})


def _keep(tx: Tx, row: Row, more: dict[str, str]) -> None:
    if not more:
        raise BadRequest("Invalid input for field/attribute extra_specs: it must hold at least one key.")
    tx.update(types, row.id, extra_specs=row.extra_specs | more)


def _one(specs: dict[str, str], id: str, key: str) -> str:
    if key not in specs:
        raise NotFound(f"Volume Type {id} has no extra specs with key {key}.")
    return specs[key]
