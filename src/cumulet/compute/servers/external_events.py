"""What other services tell of servers: `os-server-external-events`."""

from __future__ import annotations

import typing as t

import msgspec

from ... import volume
from ...kernel import ids
from ...kernel.db import Tx
from ...kernel.http import UNSET, BadRequest, Body, NotFound, Reply, Request, UnsetType
from .. import api
from ..workflows.extend import ExtendDisk
from .create import Text
from .find import record
from .tables import block_devices, servers

# -- wire ----------------------------------------------------------------------------------------------------------


class Event(Body, omit_defaults=True):
    name: t.Literal[
        "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted", "volume-extended", "power-update",
        "accelerator-request-bound", "volume-reimaged",
    ]  # fmt: skip
    server_uuid: t.Annotated[str, msgspec.Meta(max_length=64)]
    status: t.Literal["failed", "completed", "in-progress"] | UnsetType = UNSET
    tag: Text | UnsetType = UNSET


class Events(Body):
    events: t.Annotated[list[Event], msgspec.Meta(min_length=1)]


NEWER = {"volume-extended": (2, 51), "power-update": (2, 76), "accelerator-request-bound": (2, 82), "volume-reimaged": (2, 93)}
TAGGED = {"volume-extended", "power-update", "accelerator-request-bound"}
"""Events that say nothing without a tag."""

# -- policy --------------------------------------------------------------------------------------------------------

api.rule("service_api", "role:service", "Default rule for what services ask of each other.")
api.rule("service_or_admin", "rule:service_api or rule:context_is_admin", "Default rule for services and administrators.")
CREATE = api.rule("os_compute_api:os-server-external-events:create", "rule:service_or_admin", "Tell of events outside of compute.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/os-server-external-events", policy=CREATE, errors=(207, 400, 403))
def create(tx: Tx, request: Request, body: Events) -> Reply:
    """Take in events; each is answered with what became of it. 207: not all of them were of use."""
    for event in body.events:
        _check(request, event)
    codes = [_taken(tx, request, event) for event in body.events]
    told = [
        {**msgspec.to_builtins(event), "status": "completed" if code == 200 else "failed", "code": code}
        for event, code in zip(body.events, codes, strict=True)
    ]
    return Reply({"events": told}, 200 if set(codes) == {200} else 207)


def _check(request: Request, event: Event) -> None:
    if request.version < NEWER.get(event.name, (0, 0)):
        raise BadRequest(f"Invalid input for field/attribute name. Value: {event.name}. This microversion does not have it.")
    if not ids.is_uuid(event.server_uuid):
        raise BadRequest(f"Invalid input for field/attribute server_uuid. Value: {event.server_uuid}. It is not a 'uuid'")


def _taken(tx: Tx, request: Request, event: Event) -> int:
    """Act on an event; its code: 200, 404 for no such server, 400 for a tag that is missing or leads nowhere, 422 for a
    server without a host."""
    row = tx.get(servers, id=event.server_uuid)
    if row is None:
        return 404
    if event.name in TAGGED and not event.tag:
        return 400
    if row.host is None:
        return 422
    if event.name == "volume-extended":
        return _extended(tx, request, row, str(event.tag))
    tx.nudge("power" if event.name == "power-update" else "network")
    return 200


def _extended(tx: Tx, request: Request, row: t.Any, volume_id: str) -> int:
    disk = tx.get(block_devices, server_id=row.id, volume_id=volume_id)
    if disk is None:
        return 400
    try:
        size = volume.find(tx, request.context, volume_id).size
    except NotFound:
        return 400
    tx.update(block_devices, disk.id, size_gib=size)
    record(tx, request, row, "extend_volume")
    ExtendDisk.start(tx, row.id, request_id=request.id, volume=volume_id, size=size)
    return 200


@volume.on_extended
def _grown(tx: Tx, server_id: str, volume_id: str, size_gib: int, request_id: str | None) -> None:
    """A volume that the volume service itself extended while a server has it."""
    tx.update(block_devices, {"server_id": server_id, "volume_id": volume_id}, size_gib=size_gib)
    ExtendDisk.start(tx, server_id, request_id=request_id, volume=volume_id, size=size_gib)
