"""A server's volumes: attaching, detaching, swapping flags; `os-volume_attachments`."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ... import volume as volume_service
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, Forbidden, NotFound, Page, Query, Request, UnsetType, View, since, until
from .. import PROJECT_MEMBER, PROJECT_READER, api
from ..wire import Truth, truth
from ..workflows.volumes import AttachVolume, DetachVolume
from .disks import device_name
from .find import find, permit, record, target
from .states import Vm
from .tables import block_devices
from .views import wire

# -- wire ----------------------------------------------------------------------------------------------------------


class AttachmentCreate(Body):
    volume_id: str = wire("volumeId")
    device: str | None | UnsetType = UNSET
    tag: t.Annotated[str | UnsetType, since("2.49")] = UNSET
    delete_on_termination: t.Annotated[Truth, since("2.79")] = False


class AttachmentUpdate(Body):
    volume_id: str = wire("volumeId")
    delete_on_termination: t.Annotated[Truth | UnsetType, since("2.85")] = UNSET
    id: t.Annotated[str | UnsetType, since("2.85")] = UNSET
    device: t.Annotated[str | UnsetType, since("2.85")] = UNSET
    server_id: t.Annotated[str | UnsetType, since("2.85")] = wire("serverId", UNSET)
    tag: t.Annotated[str | None | UnsetType, since("2.85")] = UNSET


class Attachment(View, kw_only=True):
    id: t.Annotated[str, until("2.88")]
    volume_id: str = wire("volumeId")
    server_id: str = wire("serverId")
    device: str | None
    tag: t.Annotated[str | None, since("2.70")]
    delete_on_termination: t.Annotated[bool, since("2.79")]
    attachment_id: t.Annotated[str | None | UnsetType, since("2.89")] = UNSET
    bdm_uuid: t.Annotated[str | UnsetType, since("2.89")] = UNSET


class AttachmentQuery(Query):
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    offset: t.Annotated[int, msgspec.Meta(ge=0)] = 0


# -- policy --------------------------------------------------------------------------------------------------------

INDEX = api.rule("os_compute_api:os-volumes-attachments:index", PROJECT_READER, "List a server's volumes.")
SHOW = api.rule("os_compute_api:os-volumes-attachments:show", PROJECT_READER, "Show a server's volume.")
CREATE = api.rule("os_compute_api:os-volumes-attachments:create", PROJECT_MEMBER, "Attach a volume.")
UPDATE = api.rule("os_compute_api:os-volumes-attachments:update", PROJECT_MEMBER, "Change whether a volume goes with its server.")
SWAP = api.rule("os_compute_api:os-volumes-attachments:swap", "rule:context_is_admin", "Replace a volume by another.")
DELETE = api.rule("os_compute_api:os-volumes-attachments:delete", PROJECT_MEMBER, "Detach a volume.")

# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/servers/{id}/os-volume_attachments"
ATTACHABLE = {Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED, Vm.RESIZED, Vm.SHELVED, Vm.SHELVED_OFFLOADED}


@api.op("GET", PATH, policy=INDEX, target=target, reply="volumeAttachments", errors=(404,))
def index(tx: Tx, request: Request, id: str, query: AttachmentQuery) -> Page[Attachment]:
    """List a server's volumes."""
    find(tx, request, id)
    rows = _volumes(tx, id)
    return Page([_view(request, row) for row in rows[query.offset : query.offset + query.limit if query.limit else None]])


@api.op("GET", PATH + "/{volume_id}", policy=SHOW, target=target, wrap="volumeAttachment", errors=(404,))
def show(tx: Tx, request: Request, id: str, volume_id: str) -> Attachment:
    """Show one of a server's volumes."""
    find(tx, request, id)
    return _view(request, _find(tx, id, volume_id))


@api.op("POST", PATH, policy=CREATE, target=target, wrap="volumeAttachment", errors=(404, 409))
def create(tx: Tx, request: Request, id: str, body: AttachmentCreate) -> Attachment:
    """Attach a volume to a server, running or not."""
    server = find(tx, request, id)
    permit(request, server, "attach_volume", vm=ATTACHABLE)
    row = volume_service.find(tx, request.context, body.volume_id)
    if tx.rows(block_devices, server_id=id, volume_id=row.id):  # whatever an administrator made of the volume's status
        raise BadRequest(f"Invalid volume: volume {row.id} is already attached to server {id}")
    volume_service.reserve(tx, row.id, server.id)
    position = (tx.scalar(sa.select(sa.func.max(block_devices.c.position)).where(block_devices.c.server_id == id)) or 0) + 1
    disk = tx.insert(
        block_devices, server_id=id, position=position, source_type="volume", destination_type="volume",
        device_name=_device(tx, server, body.device or None, position), size_gib=row.size, volume_id=row.id, tag=body.tag or None,
        delete_on_termination=truth(body.delete_on_termination),
    )  # fmt: skip
    record(tx, request, server, "attach_volume")
    AttachVolume.start(tx, id, request_id=request.id, disk=disk.id)
    return _view(request, disk)


@api.op("PUT", PATH + "/{volume_id}", policy=UPDATE, target=target, wrap="volumeAttachment", reply="", status=202, errors=(404, 409))
def update(tx: Tx, request: Request, id: str, volume_id: str, body: AttachmentUpdate) -> None:
    """Change whether a volume is deleted with its server."""
    find(tx, request, id)
    disk = _find(tx, id, volume_id)
    if body.volume_id != volume_id:
        request.enforce(SWAP)
        raise BadRequest("Replacing an attached volume by another is not supported here: detach it and attach the other.")
    if body.delete_on_termination is not UNSET:
        tx.update(block_devices, disk.id, delete_on_termination=truth(body.delete_on_termination))


@api.op("DELETE", PATH + "/{volume_id}", policy=DELETE, target=target, status=202, errors=(400, 404, 409))
def delete(tx: Tx, request: Request, id: str, volume_id: str) -> None:
    """Detach a volume."""
    server = find(tx, request, id)
    disk = _find(tx, id, volume_id)
    permit(request, server, "detach_volume", vm=ATTACHABLE)
    if disk.boot_index == 0 and server.vm_state not in (Vm.SHELVED_OFFLOADED,):
        raise Forbidden("Cannot detach a root device volume")
    volume_service.begin_detaching(tx, volume_id)
    record(tx, request, server, "detach_volume")
    DetachVolume.start(tx, id, request_id=request.id, disk=disk.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _volumes(tx: Tx, id: str) -> list[Row]:
    statement = sa.select(block_devices).where(block_devices.c.server_id == id, block_devices.c.volume_id.is_not(None))
    return tx.all(statement.order_by(block_devices.c.position))


def _find(tx: Tx, id: str, volume_id: str) -> Row:
    row = tx.get(block_devices, server_id=id, volume_id=volume_id)
    if row is None:
        raise NotFound(f"Instance {id} is not attached to volume {volume_id}.")
    return row


def _device(tx: Tx, server: Row, asked: str | None, position: int) -> str:
    """The device's name: the one asked for, where it is free, else the next."""
    taken = {row.device_name for row in tx.rows(block_devices, server_id=server.id)}
    if asked and asked.startswith("/dev/"):
        if asked in taken:
            raise Conflict(f"The supplied device path ({asked}) is in use.")
        return asked
    return next(name for i in range(1, 1000) if (name := device_name(i)) not in taken)


def _view(request: Request, disk: Row) -> Attachment:
    return Attachment(
        id=disk.volume_id, volume_id=disk.volume_id, server_id=disk.server_id, device=disk.device_name, tag=disk.tag,
        delete_on_termination=disk.delete_on_termination, attachment_id=disk.attachment_id, bdm_uuid=disk.id,
    )  # fmt: skip
