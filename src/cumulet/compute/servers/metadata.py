"""A server's metadata: what its owner writes down with it, and its guest reads."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, NotFound, Request
from .. import PROJECT_MEMBER, PROJECT_READER, api
from ..quotas import check_quota
from ..workflows.tell import TellServer
from .create import Metadata
from .find import find, permit, target
from .states import Vm
from .tables import servers

# -- wire ----------------------------------------------------------------------------------------------------------

Item = t.Annotated[Metadata, msgspec.Meta(min_length=1, max_length=1)]

# -- policy --------------------------------------------------------------------------------------------------------


def _rule(name: str, check: str, description: str) -> str:
    return api.rule(f"os_compute_api:server-metadata:{name}", check, description)


INDEX = _rule("index", PROJECT_READER, "List a server's metadata.")
SHOW = _rule("show", PROJECT_READER, "Show an item of a server's metadata.")
CREATE = _rule("create", PROJECT_MEMBER, "Add to a server's metadata.")
UPDATE_ALL = _rule("update_all", PROJECT_MEMBER, "Replace a server's metadata.")
UPDATE = _rule("update", PROJECT_MEMBER, "Set an item of a server's metadata.")
DELETE = _rule("delete", PROJECT_MEMBER, "Remove an item of a server's metadata.")

# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/servers/{id}/metadata"
CHANGEABLE = {Vm.ACTIVE, Vm.PAUSED, Vm.SUSPENDED, Vm.STOPPED}


@api.op("GET", PATH, policy=INDEX, target=target, reply="metadata", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> dict[str, str]:
    """List a server's metadata."""
    return find(tx, request, id).metadata


@api.op("POST", PATH, policy=CREATE, target=target, wrap="metadata", errors=(400, 403, 404, 409))
def create(tx: Tx, request: Request, id: str, body: Metadata) -> dict[str, str]:
    """Add items to a server's metadata, or change those that are there."""
    row = find(tx, request, id)
    return _put(tx, request, row, row.metadata | body)


@api.op("PUT", PATH, policy=UPDATE_ALL, target=target, wrap="metadata", errors=(400, 403, 404, 409))
def replace(tx: Tx, request: Request, id: str, body: Metadata) -> dict[str, str]:
    """Replace a server's metadata."""
    return _put(tx, request, find(tx, request, id), body)


@api.op("GET", PATH + "/{key}", policy=SHOW, target=target, reply="meta", errors=(404,))
def show(tx: Tx, request: Request, id: str, key: str) -> dict[str, str]:
    """Show an item of a server's metadata."""
    return {key: _item(find(tx, request, id), key)}


@api.op("PUT", PATH + "/{key}", policy=UPDATE, target=target, wrap="meta", errors=(400, 403, 404, 409))
def update(tx: Tx, request: Request, id: str, key: str, body: Item) -> dict[str, str]:
    """Set an item of a server's metadata."""
    row = find(tx, request, id)
    if key not in body:
        raise BadRequest("Request body and URI mismatch")
    _put(tx, request, row, row.metadata | body)
    return body


@api.op("DELETE", PATH + "/{key}", policy=DELETE, target=target, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, id: str, key: str) -> None:
    """Remove an item of a server's metadata."""
    row = find(tx, request, id)
    _item(row, key)
    _put(tx, request, row, {name: value for name, value in row.metadata.items() if name != key})


# -- helpers -------------------------------------------------------------------------------------------------------


def _item(row: Row, key: str) -> str:
    if key not in row.metadata:
        raise NotFound("Metadata item was not found")
    return row.metadata[key]


def _put(tx: Tx, request: Request, row: Row, metadata: dict[str, str]) -> dict[str, str]:
    permit(request, row, "delete metadata" if request.method == "DELETE" else "update metadata", vm=CHANGEABLE)
    check_quota(tx, row.project_id, metadata_items=len(metadata))
    tx.update(servers, row.id, metadata=metadata)
    TellServer.start(tx, row.id, request_id=request.id)
    return metadata
