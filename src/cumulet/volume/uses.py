"""What other services do with volumes, inside their own transactions."""

from __future__ import annotations

import typing as t

from .. import image as images
from ..kernel import clock
from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Request
from ..kernel.runtime import Runtime
from .hosts import NoBackend, choose
from .lookup import find, find_snapshot
from .messages import told
from .quota import check_quota, check_size
from .tables import attachments, snapshots, types, volumes
from .types import default_type, find_type
from .workflows.create import CreateVolume
from .workflows.delete import DeleteVolume
from .workflows.rows import settle
from .workflows.snapshots import DeleteSnapshot


def state(tx: Tx, id: str) -> str:
    """A volume's status; `error_missing` where it is gone."""
    row = tx.get(volumes, id=id)
    return row.status if row else "error_missing"


def create(tx: Tx, request: Request, *, size_gib: int, image_id: str | None = None, snapshot_id: str | None = None,
           source_volid: str | None = None, backup: Row | None = None, volume_type: str | None = None, name: str | None = None,
           **more: t.Any) -> Row:  # fmt: skip
    """A new volume of the caller's project, and the work that makes it. `size_gib` 0 takes the source's size.
    Raises BadRequest, NotFound, OverLimit."""
    context, project = request.context, request.project
    source, image = _source(tx, context, snapshot_id, source_volid), images.find(tx, request, image_id) if image_id else None
    size = _size(size_gib, source or backup, image)
    kind = find_type(tx, context, volume_type) if volume_type else _type_of(tx, source) or default_type(tx, project)
    if kind and kind.encryption:
        raise BadRequest(f"Invalid volume type: {kind.name} asks for encryption, which this cloud's back ends have not.")
    check_size(tx, project, size)
    check_quota(tx, project, kind.name if kind else None, volumes=1, gigabytes=size)
    values = {
        "project_id": project, "user_id": context.user_id, "name": name, "size": size, "snapshot_id": snapshot_id,
        "source_volid": source_volid, "image_id": image_id, "type_id": kind.id if kind else None, "availability_zone": "nova",
        "metadata": {},
        "admin_metadata": {}, "multiattach": kind is not None and is_multiattach(kind), **_bootable(tx, source, image),
    }  # fmt: skip
    try:
        host = choose(tx, size, specs=kind.extra_specs if kind else {}, on=_host_of(tx, source))
    except NoBackend as error:
        row = tx.insert(volumes, status="error", fault=str(error), **values | more)
        told(tx, row, "schedule", f"No storage could be allocated for this volume request. {error}", request.id)
        return row
    row = tx.insert(volumes, status="creating", host=host, **values | more)
    CreateVolume.start(tx, row.id, request_id=request.id, **({"backup_file": backup.file_id} if backup else {}))
    return row


def check_fits(size_gib: int, image: t.Any) -> None:
    """Raise BadRequest where an image is not ready, or larger than the volume."""
    if image.status != "active":
        raise BadRequest(f"Invalid input received: Image {image.id} must be active, not '{image.status}'")
    if image.packed:
        raise BadRequest(
            f"Invalid input received: Image {image.id} is unacceptable: a volume cannot be made of the container format "
            f"{image.container_format}."
        )
    needed = -(-(image.virtual_size or image.size or 0) >> 30)
    if size_gib < needed:
        raise BadRequest(f"Invalid input received: Size of specified image {needed}GB is larger than volume size {size_gib}GB.")
    if size_gib < image.min_disk:
        raise BadRequest(
            f"Invalid input received: Volume size {size_gib}GB cannot be smaller than the image minDisk size {image.min_disk}GB."
        )


def is_multiattach(kind: Row) -> bool:
    """Whether volumes of a type may be attached to several servers at once."""
    return kind.extra_specs.get("multiattach", "").lower() == "<is> true"


def reserve(tx: Tx, id: str, server_id: str) -> str:
    """Keep a volume for a server; the attachment's id. Raises BadRequest where it is another's or the server's already, or not
    free."""
    row = tx.get(volumes, id=id)
    if row is None:
        raise NotFound(f"Volume {id} could not be found.")
    if tx.get(attachments, volume_id=id, instance_id=server_id, by_compute=True):
        raise BadRequest(f"Invalid volume: volume {id} is already attached to server {server_id}")
    free = ("available", "creating", "downloading") + (("in-use",) if row.multiattach else ())
    if row.status not in free:
        wanted = "'available' or 'in-use'" if row.multiattach else "'available'"
        raise BadRequest(
            f"Invalid volume: volume '{id}' status must be {wanted}. Currently in '{row.status}'" + (f": {row.fault}" if row.fault else "")
        )
    if row.status == "available":
        tx.update(volumes, id, status="reserved")
    return tx.insert(
        attachments, volume_id=id, project_id=row.project_id, instance_id=server_id, by_compute=True, status="reserved", attach_mode="rw",
        connection={},
    ).id  # fmt: skip


def attach(tx: Tx, id: str, *, server_id: str, host: str, mountpoint: str | None) -> str:
    """Write down that a server has a volume; the attachment's id. Where it had it before, only the host may be another: the
    volume's status may by now tell of something else that is done to it."""
    row = tx.get(attachments, volume_id=id, instance_id=server_id, by_compute=True)
    attachment = row.id if row else reserve(tx, id, server_id)
    tx.update(attachments, attachment, attached_host=host, mountpoint=mountpoint)
    if row is None or row.status != "attached":
        tx.update(attachments, attachment, status="attached", attached_at=clock.now())
        tx.update(volumes, id, status="in-use")
    return attachment


def begin_detaching(tx: Tx, id: str) -> None:
    """Raises BadRequest where the volume is not attached."""
    row = tx.get(volumes, id=id)
    if row is None or row.status != "in-use":
        raise BadRequest("Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to "
                         f"detach. Currently: status: '{row.status if row else 'gone'}'.")  # fmt: skip
    tx.update(volumes, id, status="detaching")


def roll_detaching(tx: Tx, id: str) -> None:
    """A detaching that did not come about."""
    tx.update(volumes, {"id": id, "status": "detaching"}, status="in-use")


def detach(tx: Tx, id: str, *, server_id: str) -> None:
    """End a server's use of a volume, in whatever state it is; none is success."""
    tx.delete(attachments, volume_id=id, instance_id=server_id, by_compute=True)
    settle(tx, id)


def delete(tx: Tx, id: str, request_id: str | None = None) -> None:
    """Begin the end of a volume, whatever is being done to it; none is success. One with snapshots stays, and one that
    somebody else has."""
    row = tx.get(volumes, id=id)
    if row is not None and not tx.rows(snapshots, volume_id=id) and not tx.rows(attachments, volume_id=id):
        DeleteVolume.begin(tx, row, request_id)


def snapshot_state(tx: Tx, id: str) -> str:
    """A snapshot's status; `error_missing` where it is gone."""
    row = tx.get(snapshots, id=id)
    return row.status if row else "error_missing"


def drop_snapshot(tx: Tx, id: str, request_id: str | None = None) -> None:
    """Begin the end of a snapshot, whatever is being done to it; none is success."""
    row = tx.get(snapshots, id=id)
    if row is not None:
        DeleteSnapshot.begin(tx, row, request_id)


async def connect(runtime: Runtime, id: str, host: str) -> dict:
    """How `host` reaches a volume's data."""
    row = await runtime.db.read(lambda tx: tx.get(volumes, id=id))
    if row is None:
        raise NotFound(f"Volume {id} could not be found.")
    return await runtime.bus.call(row.host, "volume.connection", {"id": id, "host": host})


def _source(tx: Tx, context: Context, snapshot_id: str | None, source_volid: str | None) -> Row | None:
    """The snapshot or volume to start from. Raises NotFound, BadRequest for one that is not ready."""
    if snapshot_id:
        row = find_snapshot(tx, context, snapshot_id)
        if row.status != "available":
            raise BadRequest(f"Invalid snapshot: Originating snapshot status must be one of 'available' values, not '{row.status}'")
        return row
    if source_volid:
        row = find(tx, context, source_volid)
        if row.status not in ("available", "in-use"):
            raise BadRequest(f"Invalid volume: Source volume status must be 'available' or 'in-use', not '{row.status}'")
        return row
    return None


def _size(asked: int, source: Row | None, image: t.Any) -> int:
    """GiB of the new volume. Raises BadRequest where its source does not fit."""
    if source is not None:
        if asked and asked < source.size:
            raise BadRequest(f"Invalid input received: Volume size '{asked}'GB cannot be smaller than original volume or snapshot size "
                             f"{source.size}GB. They must be >= original volume size.")  # fmt: skip
        return asked or source.size
    if asked < 1:
        raise BadRequest(f"Invalid input received: Volume size '{asked}' must be an integer and greater than 0")
    if image is not None:
        check_fits(asked, image)
    return asked


def _volume_of(tx: Tx, source: Row | None) -> Row | None:
    """The volume that a snapshot was taken of, or the volume itself."""
    if source is None:
        return None
    volume_id = source._mapping.get("volume_id")
    return tx.get(volumes, id=volume_id) if volume_id else source


def _type_of(tx: Tx, source: Row | None) -> Row | None:
    origin = _volume_of(tx, source)
    return tx.get(types, id=origin.type_id) if origin is not None and origin.type_id else None


def _host_of(tx: Tx, source: Row | None) -> str | None:
    """Where the source's data is."""
    origin = _volume_of(tx, source)
    return origin.host if origin is not None else None


def _bootable(tx: Tx, source: Row | None, image: t.Any) -> dict[str, t.Any]:
    """Whether servers can boot from the new volume, and what is known of the image that is on it."""
    origin = _volume_of(tx, source)
    if origin is not None:
        return {"bootable": origin.bootable, "image_metadata": origin.image_metadata}
    return {"bootable": image is not None, "image_metadata": _image_metadata(image)}


def _image_metadata(image: t.Any) -> dict:
    if image is None:
        return {}
    facts = {
        "image_id": image.id, "image_name": image.name or "", "container_format": image.container_format,
        "disk_format": image.disk_format, "min_disk": str(image.min_disk), "min_ram": str(image.min_ram), "size": str(image.size),
    }  # fmt: skip
    return image.properties | facts
