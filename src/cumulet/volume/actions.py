"""What is done to a volume in an instant: reserving, attaching, detaching, flags, statuses. `POST /volumes/{id}/action`."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, Conflict, NotFound, Request
from . import ADMIN, MEMBER, api
from .lookup import find
from .tables import attachments, volumes
from .volumes import begin_deleting, target
from .wire import Id, Text, Truth, truth
from .workflows.rows import settle

# -- wire ----------------------------------------------------------------------------------------------------------

Uuid = t.Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]
Nothing = dict | None


class Attach(Body):
    mountpoint: t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
    instance_uuid: Uuid | None = None
    host_name: Text | None = None
    mode: t.Literal["rw", "ro"] = "rw"


class Detach(Body):
    attachment_id: Id | None = None


class ForceDetach(Detach):
    connector: str | dict | None = None


class Bootable(Body):
    bootable: Truth


class ReadOnly(Body):
    readonly: Truth


class Reset(Body):
    status: t.Literal[
        "creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing", "attaching", "in-use", "detaching",
        "maintenance", "restoring-backup", "error_restoring", "reserved", "awaiting-transfer", "backing-up", "error_backing-up",
        "error_extending", "downloading", "uploading", "retyping", "extending",
    ] | None = None  # fmt: skip
    attach_status: t.Literal["attached", "attaching", "detached", "reserved", "error_attaching", "error_detaching", "deleted"] | None = None
    migration_status: t.Literal["migrating", "error", "success", "completing", "none", "starting"] | None = None


# -- policy --------------------------------------------------------------------------------------------------------

RESERVE = api.rule("volume_extension:volume_actions:reserve", MEMBER, "Reserve a volume.")
UNRESERVE = api.rule("volume_extension:volume_actions:unreserve", MEMBER, "Take back a reservation.")
BEGIN = api.rule("volume_extension:volume_actions:begin_detaching", MEMBER, "Begin to detach a volume.")
ROLL = api.rule("volume_extension:volume_actions:roll_detaching", MEMBER, "Take back the beginning of a detaching.")
ATTACH = api.rule("volume_extension:volume_actions:attach", MEMBER, "Write down that a volume is attached.")
DETACH = api.rule("volume_extension:volume_actions:detach", MEMBER, "Write down that a volume is not attached any more.")
READ_ONLY = api.rule("volume:update_readonly_flag", MEMBER, "Say whether a volume may be written.")
RESET = api.rule("volume_extension:volume_admin_actions:reset_status", ADMIN, "Say which statuses a volume has.")
FORCE_DELETE = api.rule("volume_extension:volume_admin_actions:force_delete", ADMIN, "Delete a volume in any status.")
FORCE_DETACH = api.rule("volume_extension:volume_admin_actions:force_detach", ADMIN, "Forget that a volume is attached.")
UPDATE = "volume:update"

PATH = "/volumes/{id}/action"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", PATH, action="os-reserve", policy=RESERVE, target=target, status=202, errors=(400, 404))
def reserve(tx: Tx, request: Request, id: str, body: Nothing) -> None:
    """Keep a volume for an attachment to come."""
    row = find(tx, request.context, id)
    check_free(row, "reserve")
    tx.update(volumes, row.id, status="attaching")


@api.op("POST", PATH, action="os-unreserve", policy=UNRESERVE, target=target, status=202, errors=(404,))
def unreserve(tx: Tx, request: Request, id: str, body: Nothing) -> None:
    """Take back a reservation; without one nothing happens."""
    row = find(tx, request.context, id)
    if row.status == "attaching":
        settle(tx, row.id)


@api.op("POST", PATH, action="os-begin_detaching", policy=BEGIN, target=target, status=202, errors=(400, 404))
def begin_detaching(tx: Tx, request: Request, id: str, body: Nothing) -> None:
    """Say that a volume is about to be detached."""
    row = find(tx, request.context, id)
    if row.status != "in-use" or not tx.rows(attachments, volume_id=row.id, status="attached"):
        raise BadRequest(f"Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to "
                         f"detach. Currently: status: '{row.status}'.")  # fmt: skip
    tx.update(volumes, row.id, status="detaching")


@api.op("POST", PATH, action="os-roll_detaching", policy=ROLL, target=target, status=202, errors=(404,))
def roll_detaching(tx: Tx, request: Request, id: str, body: Nothing) -> None:
    """Say that a volume is not about to be detached after all."""
    tx.update(volumes, {"id": find(tx, request.context, id).id, "status": "detaching"}, status="in-use")


@api.op("POST", PATH, action="os-attach", policy=ATTACH, target=target, status=202, errors=(400, 404))
def attach(tx: Tx, request: Request, id: str, body: Attach) -> None:
    """Write down that a server, or a host, has a volume. Whoever attaches it is who says so."""
    row = find(tx, request.context, id)
    if not body.instance_uuid and not body.host_name:
        raise BadRequest("Invalid input for field/attribute os-attach: instance_uuid or host_name is required.")
    if row.status != "attaching":
        check_free(row, "attach")
    check_mode(row, body.mode)
    tx.insert(
        attachments, volume_id=row.id, project_id=row.project_id, instance_id=body.instance_uuid, attached_host=body.host_name,
        mountpoint=body.mountpoint, status="attached", attach_mode=body.mode, connection={}, attached_at=clock.now(),
    )  # fmt: skip
    tx.update(volumes, row.id, status="in-use")


@api.op("POST", PATH, action="os-detach", policy=DETACH, target=target, status=202, errors=(400, 404, 409))
def detach(tx: Tx, request: Request, id: str, body: Detach | None) -> None:
    """Write down that a volume is not attached any more."""
    row = find(tx, request.context, id)
    _end_use(tx, row, body.attachment_id if body else None)
    settle(tx, row.id)


@api.op("POST", PATH, action="os-force_detach", policy=FORCE_DETACH, target=target, status=202, errors=(400, 404, 409))
def force_detach(tx: Tx, request: Request, id: str, body: ForceDetach) -> None:
    """Forget an attachment, whatever the volume's status is. A server that really has the volume keeps it."""
    row = find(tx, request.context, id)
    _end_use(tx, row, body.attachment_id)
    if tx.rows(attachments, volume_id=row.id):
        settle(tx, row.id)
    else:
        tx.update(volumes, row.id, status="available")


@api.op("POST", PATH, action="os-set_bootable", policy=UPDATE, target=target, status=200, errors=(400, 404))
def set_bootable(tx: Tx, request: Request, id: str, body: Bootable) -> None:
    """Say whether servers can boot from a volume."""
    tx.update(volumes, find(tx, request.context, id).id, bootable=truth(body.bootable))


@api.op("POST", PATH, action="os-update_readonly_flag", policy=READ_ONLY, target=target, status=202, errors=(400, 404))
def update_readonly_flag(tx: Tx, request: Request, id: str, body: ReadOnly) -> None:
    """Say whether a volume may be written by those who attach it from now on."""
    row = find(tx, request.context, id)
    if row.status != "available":
        raise BadRequest(
            f"Invalid volume: Volume {id} status must be available to update readonly flag, but current status is: {row.status}."
        )
    tx.update(volumes, row.id, admin_metadata={"readonly": str(truth(body.readonly))})


@api.op("POST", PATH, action="os-reset_status", policy=RESET, target=target, status=202, errors=(400, 404))
def reset_status(tx: Tx, request: Request, id: str, body: Reset) -> None:
    """Say which statuses a volume has; `attach_status` `detached` forgets its attachments too."""
    row = find(tx, request.context, id)
    if body.status is None and body.attach_status is None and body.migration_status is None:
        raise BadRequest(
            "Invalid input for field/attribute os-reset_status: Must specify 'status', 'attach_status' or 'migration_status' for update."
        )
    changes: dict[str, t.Any] = {} if body.status is None else {"status": body.status}
    if body.migration_status is not None:
        changes["migration_status"] = None if body.migration_status == "none" else body.migration_status
    if body.attach_status == "detached":
        tx.delete(attachments, volume_id=row.id)
    tx.update(volumes, row.id, **changes)


@api.op("POST", PATH, action="os-force_delete", policy=FORCE_DELETE, target=target, status=202, errors=(400, 404))
def force_delete(tx: Tx, request: Request, id: str, body: Nothing) -> None:
    """Delete a volume, whatever is being done to it; one that is attached, or has snapshots, not."""
    begin_deleting(tx, find(tx, request.context, id), request.id, cascade=False)


# -- helpers -------------------------------------------------------------------------------------------------------


def check_free(row: Row, doing: str) -> None:
    """Raise BadRequest where a volume cannot be used by one more."""
    free = ("available", "in-use") if row.multiattach else ("available",)
    if row.status not in free:
        raise BadRequest(f"Invalid volume: Volume status must be {' or '.join(free)} to {doing}, but the current status is {row.status}.")


def check_mode(row: Row, mode: str) -> None:
    """Raise BadRequest where a volume that must not be written is to be."""
    if mode == "rw" and row.admin_metadata.get("readonly") == "True":
        raise BadRequest(f"Invalid attaching mode '{mode}' for volume {row.id}: it is read-only.")


def check_not_computes(use: Row) -> None:
    """Raise Conflict where a server really has the volume: only compute can take it out of the guest."""
    if use.by_compute:
        raise Conflict(f"Detach volume from instance {use.instance_id} using the Compute API")


def _end_use(tx: Tx, row: Row, attachment_id: str | None) -> None:
    """Remove an attachment: the one named, or the only one; none at all is success."""
    uses = tx.all(sa.select(attachments).where(attachments.c.volume_id == row.id))
    if attachment_id:
        uses = [use for use in uses if use.id == attachment_id and ids.is_uuid(attachment_id)]
        if not uses:
            raise NotFound(f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.")
    if len(uses) > 1:
        raise BadRequest(
            f"Invalid volume: Detach volume failed: More than one attachment, but no attachment_id provided. It has {len(uses)}."
        )
    for use in uses:
        check_not_computes(use)
        tx.delete(attachments, id=use.id)
