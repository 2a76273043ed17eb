"""How a volume type asks for encryption. It is kept and shown; volumes of such a type cannot be made here yet."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel import clock, ids
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, NotFound, Request, UnsetType, View
from . import ADMIN, api
from .tables import types, volumes
from .types import find_by_id
from .wire import INT_MAX, Name, Text

CREATE = api.rule("volume_extension:volume_type_encryption:create", ADMIN, "Have a volume type's volumes encrypted.")
SHOW = api.rule("volume_extension:volume_type_encryption:get", ADMIN, "Show how a volume type's volumes are encrypted.")
UPDATE = api.rule("volume_extension:volume_type_encryption:update", ADMIN, "Change how a volume type's volumes are encrypted.")
DELETE = api.rule("volume_extension:volume_type_encryption:delete", ADMIN, "Have a volume type's volumes not encrypted.")
PATH = "/types/{id}/encryption"

KeySize = t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)]
Place = t.Literal["front-end", "back-end"]


class EncryptionCreate(Body):
    provider: Name
    control_location: Place
    key_size: KeySize | None = None
    cipher: Text | None = None


class EncryptionUpdate(Body):
    provider: Name | UnsetType = UNSET
    control_location: Place | UnsetType = UNSET
    key_size: KeySize | None | UnsetType = UNSET
    cipher: Text | None | UnsetType = UNSET


class Encryption(View, kw_only=True):
    volume_type_id: str
    encryption_id: str
    provider: str
    control_location: str
    key_size: int | None
    cipher: str | None


@api.op("POST", PATH, policy=CREATE, wrap="encryption", errors=(400, 404))
def create(tx: Tx, request: Request, id: str, body: EncryptionCreate) -> Encryption:
    """Have a volume type's volumes encrypted."""
    row = _unused(tx, request, id)
    if row.encryption:
        raise BadRequest(f"Volume type encryption for type {id} already exists.")
    made = {"encryption_id": ids.new(), "created_at": clock.now().isoformat(timespec="microseconds"), **msgspec.to_builtins(body)}
    tx.update(types, row.id, encryption=made)
    return _view(row.id, made)


@api.op("GET", PATH, policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, id: str) -> dict:
    """Show how a volume type's volumes are encrypted; an empty mapping where they are not."""
    row = find_by_id(tx, request.context, id)
    if not row.encryption:
        return {}
    return {"volume_type_id": row.id, "deleted": False, "updated_at": None, "deleted_at": None, **row.encryption}


@api.op("GET", PATH + "/{key}", policy=SHOW, errors=(404,))
def show_one(tx: Tx, request: Request, id: str, key: str) -> dict:
    """Show one value of a volume type's encryption."""
    encryption = find_by_id(tx, request.context, id).encryption or {}
    if key not in encryption:
        raise NotFound(f"Volume type encryption for type {id} has no {key}.")
    return {key: encryption[key]}


@api.op("PUT", PATH + "/{encryption_id}", policy=UPDATE, wrap="encryption", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, encryption_id: str, body: EncryptionUpdate) -> dict:
    """Change how a volume type's volumes are encrypted."""
    row = _encrypted(_unused(tx, request, id), encryption_id)
    changes = msgspec.to_builtins(body)
    tx.update(types, row.id, encryption=row.encryption | changes)
    return changes


@api.op("DELETE", PATH + "/{encryption_id}", policy=DELETE, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str, encryption_id: str) -> None:
    """Have a volume type's volumes not encrypted."""
    tx.update(types, _encrypted(_unused(tx, request, id), encryption_id).id, encryption=None)


def _unused(tx: Tx, request: Request, id: str) -> Row:
    """The type, where no volume has it: what is on disk must go on being readable."""
    row = find_by_id(tx, request.context, id)
    if tx.rows(volumes, type_id=row.id):
        raise BadRequest("Cannot change encryption specs. Volume type in use.")
    return row


def _encrypted(row: Row, encryption_id: str) -> Row:
    if not row.encryption or row.encryption["encryption_id"] != encryption_id:
        raise NotFound(f"Volume type encryption for type {row.id} does not exist.")
    return row


def _view(type_id: str, values: dict[str, t.Any]) -> Encryption:
    names = ("encryption_id", "provider", "control_location", "key_size", "cipher")
    return Encryption(volume_type_id=type_id, **{name: values[name] for name in names})
