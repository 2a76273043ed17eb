"""Protocols of identity providers: by what mapping one goes by that comes with a protocol's word from a provider."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.errors import BadRequest, Conflict, NotFound
from ...kernel.http import Body, Page, Request
from ...kernel.http.wire import UNSET, UnsetType
from .. import ADMIN, ADMIN_OR_SYSTEM_READER, api
from ..attributes import check_chosen_id, given
from ..entities import shown
from . import shadows
from .identity_providers import find_provider
from .mappings import mappings
from .tables import protocols

# -- wire ----------------------------------------------------------------------------------------------------------

MappingId = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Attribute = t.Annotated[str, msgspec.Meta(max_length=64)]


class ProtocolCreate(Body):
    mapping_id: MappingId
    remote_id_attribute: Attribute | None = None


class ProtocolUpdate(Body):
    mapping_id: MappingId
    remote_id_attribute: Attribute | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("identity:create_protocol", ADMIN, "Add a protocol to an identity provider.")
LIST = api.rule("identity:list_protocols", ADMIN_OR_SYSTEM_READER, "List the protocols of an identity provider.")
GET = api.rule("identity:get_protocol", ADMIN_OR_SYSTEM_READER, "Show a protocol of an identity provider.")
UPDATE = api.rule("identity:update_protocol", ADMIN, "Update a protocol of an identity provider.")
DELETE = api.rule("identity:delete_protocol", ADMIN, "Delete a protocol of an identity provider.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-FEDERATION/identity_providers/{idp_id}/protocols"
ONE = ALL + "/{protocol_id}"


@api.op("PUT", ONE, policy=CREATE, wrap="protocol", status=201, errors=(404, 409))
def create(tx: Tx, request: Request, idp_id: str, protocol_id: str, body: ProtocolCreate) -> dict:
    """Add a protocol to an identity provider."""
    check_chosen_id(protocol_id)
    _check_mapping(tx, body.mapping_id)
    find_provider(tx, idp_id)
    if tx.get(protocols, provider_id=idp_id, id=protocol_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store federation_protocol - Duplicate entry found with ID {protocol_id}.")
    return _view(request, tx.insert(protocols, provider_id=idp_id, id=protocol_id, **given(body)))


@api.op("GET", ALL, policy=LIST, reply="protocols")
def index(tx: Tx, request: Request, idp_id: str) -> Page:
    """List the protocols of an identity provider."""
    rows = tx.rows(protocols, order=protocols.c.id, provider_id=idp_id)
    return Page([_view(request, row) | {"idp_id": idp_id, "remote_id_attribute": row.remote_id_attribute} for row in rows])


@api.op("GET", ONE, policy=GET, reply="protocol", errors=(404,))
def show(tx: Tx, request: Request, idp_id: str, protocol_id: str) -> dict:
    """Show a protocol of an identity provider."""
    return _view(request, find_protocol(tx, idp_id, protocol_id))


@api.op("PATCH", ONE, policy=UPDATE, wrap="protocol", errors=(404,))
def update(tx: Tx, request: Request, idp_id: str, protocol_id: str, body: ProtocolUpdate) -> dict:
    """Have a protocol go by another mapping."""
    _check_mapping(tx, body.mapping_id)
    row = find_protocol(tx, idp_id, protocol_id)
    tx.update(protocols, {"provider_id": row.provider_id, "id": row.id}, **given(body))
    return show(tx, request, idp_id, protocol_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, idp_id: str, protocol_id: str) -> None:
    """Delete a protocol of an identity provider, and the users whom nobody else vouched for."""
    row = find_protocol(tx, idp_id, protocol_id)
    with shadows.without_orphans(tx, row.provider_id, row.id):
        tx.delete(protocols, provider_id=row.provider_id, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_protocol(tx: Tx, idp_id: str, protocol_id: str) -> Row:
    row = tx.get(protocols, provider_id=idp_id, id=protocol_id)
    if row is None:
        raise NotFound(f"Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}.")
    return row


def _check_mapping(tx: Tx, mapping_id: str) -> None:
    if tx.get(mappings, id=mapping_id) is None:
        raise BadRequest(f"Invalid mapping id: {mapping_id}")


def _view(request: Request, row: Row) -> dict:
    provider = f"OS-FEDERATION/identity_providers/{row.provider_id}"
    body = shown(request, f"{provider}/protocols", row, "mapping_id")
    body["links"]["identity_provider"] = f"{request.base}/v3/{provider}"
    return body
