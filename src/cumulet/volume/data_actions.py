"""What is done to a volume's data by work that outlives the request: extending, reverting, replacing, retyping."""

from __future__ import annotations

import typing as t

from .. import image as images
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, Request, since
from . import ADMIN, MEMBER, api
from .hosts import NoBackend, choose
from .lookup import find, find_snapshot
from .quota import check_quota, check_size
from .tables import snapshots, types, volumes
from .types import find_type
from .uses import check_fits, is_multiattach
from .volumes import target
from .wire import Id, Truth, number, truth
from .workflows.extend import ExtendVolume
from .workflows.refill import RefillVolume, RevertVolume

# -- wire ----------------------------------------------------------------------------------------------------------


class Extend(Body):
    new_size: int | str


class Retype(Body):
    new_type: Id
    migration_policy: t.Literal["on-demand", "never"] | None = None


class Revert(Body):
    snapshot_id: Id


class Reimage(Body):
    image_id: Id
    reimage_reserved: Truth = False


class Migrate(Body):
    host: Id | None = None
    force_host_copy: Truth = False
    lock_volume: Truth = False
    cluster: t.Annotated[Id | None, since("3.16")] = None


# -- policy --------------------------------------------------------------------------------------------------------

EXTEND = api.rule("volume:extend", MEMBER, "Make a volume larger.")
EXTEND_ATTACHED = api.rule("volume:extend_attached_volume", MEMBER, "Make a volume larger that is attached.")
RETYPE = api.rule("volume:retype", MEMBER, "Change a volume's type.")
REVERT = api.rule("volume:revert_to_snapshot", MEMBER, "Take a volume back to its last snapshot.")
REIMAGE = api.rule("volume:reimage", MEMBER, "Put an image on a volume.")
REIMAGE_RESERVED = api.rule("volume:reimage_reserved", MEMBER, "Put an image on a volume that is reserved.")
MIGRATE = api.rule("volume_extension:volume_admin_actions:migrate_volume", ADMIN, "Move a volume to another host.")

PATH = "/volumes/{id}/action"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", PATH, action="os-extend", policy=EXTEND, target=target, status=202, errors=(400, 404, 413))
def extend(tx: Tx, request: Request, id: str, body: Extend) -> None:
    """Make a volume larger; from 3.42 also one that is attached."""
    row = find(tx, request.context, id)
    size = number("new_size", body.new_size)
    if row.status == "in-use" and request.version >= (3, 42):
        request.enforce(EXTEND_ATTACHED, {"project_id": row.project_id})
    elif row.status not in ("available", "error_extending"):
        raise BadRequest(f"Invalid volume: Volume {id} status must be available to extend, but current status is: {row.status}.")
    if size <= row.size:
        raise BadRequest(
            f"Invalid input received: New size for extend must be greater than current size. (current: {row.size}, extended: {size})."
        )
    check_size(tx, row.project_id, size)
    check_quota(tx, row.project_id, _type_name(tx, row), gigabytes=size - row.size)
    tx.update(volumes, row.id, status="extending", growing_to=size)
    ExtendVolume.start(tx, row.id, request_id=request.id)


@api.op("POST", PATH, action="revert", policy=REVERT, target=target, first="3.40", status=202, errors=(400, 404))
def revert(tx: Tx, request: Request, id: str, body: Revert) -> None:
    """Take a volume back to its last snapshot."""
    row, snapshot = find(tx, request.context, id), find_snapshot(tx, request.context, body.snapshot_id)
    newest = max(tx.rows(snapshots, volume_id=row.id), key=lambda one: (one.created_at, one.id), default=None)
    if newest is None or newest.id != snapshot.id:
        raise BadRequest(f"Specified snapshot {snapshot.id} isn't the latest one of volume {row.id}.")
    if row.status != "available":
        raise BadRequest(f"Invalid volume: Volume {id} status must be available to be reverted, but current status is: {row.status}.")
    if snapshot.status != "available":
        raise BadRequest(
            f"Invalid snapshot: Snapshot {snapshot.id} status must be available to revert, but current status is: {snapshot.status}."
        )
    if row.size != snapshot.size:
        raise BadRequest(f"Can't revert volume {row.id} to its latest snapshot {snapshot.id}: the volume has {row.size} GiB, the snapshot "
                         f"{snapshot.size} GiB.")  # fmt: skip
    tx.update(volumes, row.id, status="reverting")
    tx.update(snapshots, snapshot.id, status="restoring")
    RevertVolume.start(tx, row.id, request_id=request.id, snapshot_id=snapshot.id)


@api.op("POST", PATH, action="os-reimage", policy=REIMAGE, target=target, first="3.68", status=202, errors=(400, 404))
def reimage(tx: Tx, request: Request, id: str, body: Reimage) -> None:
    """Put an image on a volume; what was on it is lost."""
    row = find(tx, request.context, id)
    free = ["available", "error"]
    if truth(body.reimage_reserved):
        request.enforce(REIMAGE_RESERVED, {"project_id": row.project_id})
        free.append("reserved")
    if row.status not in free:
        raise BadRequest(f"Invalid volume: status must be {' or '.join(free)}, but current status is: {row.status}.")
    image = images.find(tx, request, body.image_id)
    check_fits(row.size, image)
    tx.update(volumes, row.id, status="downloading")
    RefillVolume.start(tx, row.id, request_id=request.id, image_id=image.id)


@api.op("POST", PATH, action="os-retype", policy=RETYPE, target=target, status=202, errors=(400, 404, 413))
def retype(tx: Tx, request: Request, id: str, body: Retype) -> None:
    """Change a volume's type, to one that the volume's host offers."""
    row, kind = find(tx, request.context, id), find_type(tx, request.context, body.new_type)
    if row.status not in ("available", "in-use"):
        raise BadRequest(f"Invalid volume: Retype needs volume to be in available or in-use state, not be part of an active migration or a "
                         f"consistency group, but its status is {row.status}.")  # fmt: skip
    if kind.id == row.type_id:
        raise BadRequest(f"Invalid input received: The new type is the volume's type already: {kind.name}.")
    _check_new_type(tx, row, kind)
    tx.update(volumes, row.id, type_id=kind.id, multiattach=is_multiattach(kind))


@api.op("POST", PATH, action="os-migrate_volume", policy=MIGRATE, target=target, status=202, errors=(400, 404))
def migrate(tx: Tx, request: Request, id: str, body: Migrate) -> None:
    """Refused: a host's volumes are files of its own."""
    row = find(tx, request.context, id)
    raise BadRequest(f"Invalid input received: volume {row.id} stays on {row.host}: its back end cannot move volumes to another host.")


# -- helpers -------------------------------------------------------------------------------------------------------


def _check_new_type(tx: Tx, row: Row, kind: Row) -> None:
    """Raise BadRequest where a volume cannot become of a type, QuotaReached where its project has no more of it."""
    if row.status == "in-use" and is_multiattach(kind) != row.multiattach:
        raise BadRequest("Invalid volume type: Invalid volume_type passed, retypes affecting multiattach are only allowed on "
                         "available volumes, the specified volume however currently has a status of: in-use.")  # fmt: skip
    if kind.encryption:
        raise BadRequest(f"Invalid volume type: {kind.name} asks for encryption, which this cloud's back ends have not.")
    try:
        choose(tx, 0, specs=kind.extra_specs, on=row.host)
    except NoBackend as error:
        raise BadRequest(
            f"Invalid volume type: the volume would have to move to another host, which its back end cannot do. {error}"
        ) from None
    check_quota(tx, row.project_id, only=kind.name, volumes=1, gigabytes=row.size)


def _type_name(tx: Tx, row: Row) -> str | None:
    kind = tx.get(types, id=row.type_id) if row.type_id else None
    return kind.name if kind else None
