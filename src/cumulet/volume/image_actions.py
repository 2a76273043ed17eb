"""Volumes and images: making an image of a volume, and what is known of the image that a volume was made of."""

from __future__ import annotations

import typing as t

from .. import image as images
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Request, View, since
from . import MEMBER, READER, api
from .lookup import find
from .tables import types, volumes
from .volumes import target
from .wire import Metadata, Name, Text, Truth, moment, truth
from .workflows.upload import UploadVolume

# -- wire ----------------------------------------------------------------------------------------------------------


class Upload(Body):
    image_name: Name
    force: Truth = False
    disk_format: t.Literal["raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx"] = "raw"
    container_format: Text | None = "bare"
    visibility: t.Annotated[t.Literal["community", "public", "private", "shared"], since("3.1")] = "private"
    protected: t.Annotated[Truth, since("3.1")] = False


class Uploading(View, kw_only=True):
    id: str
    status: str
    image_id: str
    image_name: str
    size: int
    disk_format: str
    container_format: str
    display_description: str | None
    updated_at: str | None
    volume_type: dict | None
    visibility: t.Annotated[str, since("3.1")]
    protected: t.Annotated[bool, since("3.1")]


class SetMetadata(Body):
    metadata: Metadata


class UnsetMetadata(Body):
    key: Name


# -- policy --------------------------------------------------------------------------------------------------------

UPLOAD = api.rule("volume_extension:volume_actions:upload_image", MEMBER, "Make an image of a volume.")
SHOW = api.rule("volume_extension:volume_image_metadata:show", READER, "Show what is known of a volume's image.")
SET = api.rule("volume_extension:volume_image_metadata:set", MEMBER, "Say something of a volume's image.")
REMOVE = api.rule("volume_extension:volume_image_metadata:remove", MEMBER, "Forget something of a volume's image.")

PATH = "/volumes/{id}/action"
PROPERTIES_ONLY = {"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"}
"""What a new image has of its own, and does not take from the volume's image."""

# -- operations ----------------------------------------------------------------------------------------------------


@api.op(
    "POST",
    PATH,
    action="os-volume_upload_image",
    policy=UPLOAD,
    target=target,
    reply="os-volume_upload_image",
    status=202,
    errors=(400, 404),
)
def upload(tx: Tx, request: Request, id: str, body: Upload) -> Uploading:
    """Make an image of a volume; of one in use only where that is asked for."""
    row = find(tx, request.context, id)
    free = ("available", "in-use") if truth(body.force) else ("available",)
    if row.status not in free:
        raise BadRequest(f"Invalid volume: Volume {id} status must be {' or '.join(free)}, but current status is: {row.status}.")
    if body.visibility != "private" or truth(body.protected):
        raise BadRequest(
            "Invalid input for field/attribute visibility: an image of a volume is private and not protected; change it once it is there."
        )
    properties = {key: value for key, value in row.image_metadata.items() if key not in PROPERTIES_ONLY}
    images.guard(request).check("create", *properties)
    image_id = images.reserve(
        tx, request, project_id=request.project, name=body.image_name, disk_format=body.disk_format,
        container_format=body.container_format or "bare", min_disk=row.size, properties=properties,
    )  # fmt: skip
    tx.update(volumes, row.id, status="uploading")
    UploadVolume.start(tx, image_id, request_id=request.id, volume_id=row.id, format=body.disk_format)
    kind = tx.get(types, id=row.type_id) if row.type_id else None
    return Uploading(
        id=row.id, status="uploading", image_id=image_id, image_name=body.image_name, size=row.size, disk_format=body.disk_format,
        container_format=body.container_format or "bare", display_description=row.description, updated_at=moment(row.updated_at),
        volume_type=None if kind is None else _type(kind),
        visibility=body.visibility, protected=truth(body.protected),
    )  # fmt: skip


@api.op("POST", PATH, action="os-show_image_metadata", policy=SHOW, target=target, write=False, reply="metadata", errors=(404,))
def show(tx: Tx, request: Request, id: str, body: dict | None) -> dict:
    """Show what is known of a volume's image."""
    return find(tx, request.context, id).image_metadata


@api.op("POST", PATH, action="os-set_image_metadata", policy=SET, target=target, reply="metadata", errors=(400, 404))
def set_metadata(tx: Tx, request: Request, id: str, body: SetMetadata) -> dict:
    """Say more of a volume's image."""
    row = find(tx, request.context, id)
    tx.update(volumes, row.id, image_metadata=row.image_metadata | body.metadata)
    return row.image_metadata | body.metadata


@api.op("POST", PATH, action="os-unset_image_metadata", policy=REMOVE, target=target, status=200, errors=(400, 404))
def unset_metadata(tx: Tx, request: Request, id: str, body: UnsetMetadata) -> None:
    """Forget something of a volume's image."""
    row = find(tx, request.context, id)
    if body.key not in row.image_metadata:
        raise NotFound("Metadata does not exist for this volume.")
    tx.update(volumes, row.id, image_metadata={key: value for key, value in row.image_metadata.items() if key != body.key})


def _type(kind: Row) -> dict:
    return {"id": kind.id, "name": kind.name, "description": kind.description, "is_public": kind.is_public}
