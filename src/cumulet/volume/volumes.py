"""Volumes: creating, showing, listing, renaming and deleting them."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, NotFound, Page, Query, Request, UnsetType, since
from . import ADMIN, MEMBER, READER, api
from .backup_rows import ready_backup, restoring
from .listing import ListQuery, named, page, whose
from .lookup import find
from .tables import attachments, groups, snapshots, types, volumes
from .uses import create as make
from .views import Summary, Volume, VolumeDetail, details, plain_host, view
from .views import summary as in_short
from .wire import Id, Metadata, Text, Truth, given, number, renamed, truth, wire
from .workflows.delete import DeleteVolume

# -- wire ----------------------------------------------------------------------------------------------------------


class VolumeCreate(Body):
    size: int | str | None = None
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    volume_type: Id | None = None
    metadata: Metadata | None = None
    snapshot_id: Id | None = None
    source_volid: Id | None = None
    image: Id | None = wire("imageRef", None)
    image_id: Id | None = None
    availability_zone: Text | None = None
    consistencygroup_id: Id | None = None
    multiattach: Truth | None = None
    group_id: t.Annotated[Id | None, since("3.13")] = None
    backup_id: t.Annotated[Id | None, since("3.47")] = None
    attach_status: str | None | UnsetType = UNSET
    migration_status: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    user_id: str | None | UnsetType = UNSET
    project_id: str | None | UnsetType = UNSET


class VolumeCreateRequest(Body):
    volume: VolumeCreate
    hints: dict | None = wire("OS-SCH-HNT:scheduler_hints", None)


class VolumeUpdate(Body):
    name: Text | None | UnsetType = UNSET
    display_name: Text | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    display_description: Text | None | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class VolumeQuery(ListQuery):
    bootable: str | None = None
    multiattach: str | None = None
    availability_zone: str | None = None
    volume_type: str | None = wire("type", None)
    volume_type_id: str | None = None
    group_id: str | None = None
    host: str | None = None


class Deletion(Query):
    cascade: str | None = None
    force: str | None = None


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("volume:create", MEMBER, "Create a volume.")
SHOW = api.rule("volume:get", READER, "Show a volume.")
INDEX = api.rule("volume:get_all", READER, "List volumes.")
UPDATE = api.rule("volume:update", MEMBER, "Change a volume's name, description or metadata.")
DELETE = api.rule("volume:delete", MEMBER, "Delete a volume.")
FORCE = api.rule("volume:force_delete", ADMIN, "Delete a volume in any state.")


BUSY = ("in-use", "attaching", "detaching", "reserved", "awaiting-transfer", "uploading", "backing-up", "restoring-backup")
"""Statuses of a volume that somebody uses: whoever it is ends that first."""


def target(tx: Tx, request: Request, id: str, **_: str) -> dict:
    """What policy is checked against: the volume's project."""
    return {"project_id": find(tx, request.context, id).project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/volumes", policy=CREATE, reply="volume", status=202, errors=(400, 404, 413))
def create(tx: Tx, request: Request, body: VolumeCreateRequest) -> Volume:
    """Create a volume: empty, or from an image, a snapshot, another volume or a backup."""
    wanted = body.volume
    image = wanted.image or wanted.image_id or None
    if len([s for s in (image, wanted.snapshot_id, wanted.source_volid, wanted.backup_id) if s]) > 1:
        raise BadRequest(
            "Invalid input received: a volume starts from one of imageRef, snapshot_id, source_volid and backup_id, not from several"
        )
    if wanted.availability_zone not in (None, "", "nova"):
        raise BadRequest(f"Invalid input received: Availability zone '{wanted.availability_zone}' is invalid.")
    if truth(wanted.multiattach):
        raise BadRequest("multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. "
                         "Contact your administrator to create a multiattach enabled volume type and use it to create multiattach "
                         "volumes.")  # fmt: skip
    backup = ready_backup(tx, request, wanted.backup_id) if wanted.backup_id else None
    row = make(
        tx, request, size_gib=_size(wanted.size, bool(wanted.snapshot_id or wanted.source_volid or backup)), image_id=image, backup=backup,
        snapshot_id=wanted.snapshot_id or None, source_volid=wanted.source_volid or None, volume_type=wanted.volume_type or None,
        name=given(wanted.name, wanted.display_name), description=given(wanted.description, wanted.display_description),
        group_id=_group(tx, request, wanted.group_id), **(backup.origin if backup else {}) | {"metadata": wanted.metadata or {}},
    )  # fmt: skip
    if backup:
        restoring(tx, backup, row)
    return view(tx, request, row.id)


@api.op("GET", "/volumes", policy=INDEX, reply="volumes")
def index(tx: Tx, request: Request, query: VolumeQuery) -> Page[Summary]:
    """List volumes, in short."""
    rows, marker, extra = _page(tx, request, query)
    return Page([in_short(request, row) for row in rows], marker, extra)


@api.op("GET", "/volumes/detail", policy=INDEX, reply="volumes")
def detail(tx: Tx, request: Request, query: VolumeQuery) -> Page[VolumeDetail]:
    """List volumes whole."""
    rows, marker, extra = _page(tx, request, query)
    return Page(details(tx, request, rows), marker, extra)


@api.op("GET", "/volumes/summary", policy=INDEX, first="3.12", reply="volume-summary")
def summary(tx: Tx, request: Request, query: VolumeQuery) -> dict:
    """How many volumes the project has, and how big they are together."""
    rows = tx.all(sa.select(volumes).where(*_clauses(tx, request, query)))
    found: dict[str, t.Any] = {"total_size": sum(row.size for row in rows), "total_count": len(rows)}
    if request.version >= (3, 36):
        keys = {key for row in rows for key in row.metadata}
        found["metadata"] = {key: sorted({row.metadata[key] for row in rows if key in row.metadata}) for key in keys}
    return found


@api.op("GET", "/volumes/{id}", policy=SHOW, target=target, wrap="volume", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> VolumeDetail:
    """Show a volume."""
    return details(tx, request, [find(tx, request.context, id)])[0]


@api.op("PUT", "/volumes/{id}", policy=UPDATE, target=target, wrap="volume", errors=(404,))
def update(tx: Tx, request: Request, id: str, body: VolumeUpdate) -> Volume:
    """Change a volume's name, description or metadata."""
    row = find(tx, request.context, id)
    changes = renamed(body)
    if body.metadata is not UNSET:
        changes["metadata"] = body.metadata
    if not changes:
        raise BadRequest("Invalid input for field/attribute volume: one of name, description and metadata is required.")
    tx.update(volumes, row.id, **changes)
    return view(tx, request, id)


@api.op("DELETE", "/volumes/{id}", policy=DELETE, target=target, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str, query: Deletion) -> None:
    """Delete a volume that nobody uses."""
    row = find(tx, request.context, id)
    if truth(query.force):
        request.enforce(FORCE, {"project_id": row.project_id})
    elif row.status in BUSY or row.group_id:
        raise BadRequest("Invalid volume: Volume status must be available or error or error_restoring or error_extending or "
                         "error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, "
                         f"or be disassociated from snapshots after volume transfer. Its status is "
                         f"{row.status}, its group {row.group_id or 'none'}.")  # fmt: skip
    begin_deleting(tx, row, request.id, cascade=query.cascade is not None and query.cascade.lower() not in ("false", "0", "no", "off"))


# -- helpers -------------------------------------------------------------------------------------------------------


def begin_deleting(tx: Tx, row: Row, request_id: str, *, cascade: bool) -> None:
    """Delete a volume that nobody has attached, and its snapshots where they are to go with it. Raises BadRequest."""
    if tx.rows(attachments, volume_id=row.id, status="attached"):
        raise BadRequest(f"Invalid volume: Volume {row.id} is still attached, detach volume first.")
    count = len(tx.rows(snapshots, volume_id=row.id))
    if count and not cascade:
        raise BadRequest(f"Invalid volume: Volume status must be available or error and it must have no snapshots: it has {count}.")
    DeleteVolume.begin(tx, row, request_id)


def _group(tx: Tx, request: Request, id: str | None) -> str | None:
    """The group that a volume is made in. Raises NotFound."""
    if id and tx.get(groups, id=id, project_id=request.context.project_id) is None:
        raise NotFound(f"Group {id} could not be found.")
    return id or None


def _size(asked: int | str | None, has_source: bool) -> int:
    if asked is None:
        if not has_source:
            raise BadRequest(
                "Invalid input for field/attribute size. A size is required unless there is a snapshot or a volume to start from."
            )
        return 0
    return number("size", asked)


def _page(tx: Tx, request: Request, query: VolumeQuery) -> tuple[list[Row], str | None, dict | None]:
    return page(tx, request, query, volumes, _clauses(tx, request, query))


def _clauses(tx: Tx, request: Request, query: VolumeQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    c = volumes.c
    yield from whose(request, query, volumes)
    yield from named(query, volumes)
    for column, value in ((c.availability_zone, query.availability_zone), (c.group_id, query.group_id), (c.type_id, query.volume_type_id)):
        if value is not None:
            yield column == value
    for column, flag in ((c.bootable, query.bootable), (c.multiattach, query.multiattach)):
        if flag is not None:
            yield column == truth(flag)
    if query.volume_type is not None:
        yield c.type_id.in_(sa.select(types.c.id).where(sa.or_(types.c.name == query.volume_type, types.c.id == query.volume_type)))
    if query.host is not None and request.context.is_admin:
        yield c.host == plain_host(query.host)
