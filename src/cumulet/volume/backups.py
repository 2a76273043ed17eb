"""Backups: copies of volumes, kept apart from the back end, which outlive their volumes. Each is whole: an incremental one
only says which it was asked to build on."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, Page, Request, UnsetType, View, since
from . import ADMIN, MEMBER, READER, api
from .backup_rows import find_backup, ready_backup, restoring
from .listing import ListQuery, named, page, whose
from .lookup import find, find_snapshot
from .quota import check_quota
from .tables import backups, snapshots, volumes
from .uses import create as make_volume
from .wire import Id, Metadata, Text, Truth, links, moment, truth, wire
from .workflows.backups import CreateBackup, DeleteBackup
from .workflows.refill import RefillVolume

# -- wire ----------------------------------------------------------------------------------------------------------


class BackupCreate(Body):
    volume_id: Id
    snapshot_id: Id | None = None
    name: Text | None = None
    description: Text | None = None
    container: Text | None = None
    incremental: Truth = False
    force: Truth = False
    metadata: t.Annotated[Metadata | None, since("3.43")] = None
    availability_zone: t.Annotated[Text | None, since("3.51")] = None


class BackupUpdate(Body):
    name: Text | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    metadata: t.Annotated[Metadata | UnsetType, since("3.43")] = UNSET


class Restore(Body):
    volume_id: Id | None = None
    name: Text | None = None


class ResetStatus(Body):
    status: t.Literal["available", "error", "creating", "deleting", "restoring", "error_deleting"]


class BackupQuery(ListQuery):
    volume_id: Id | None = None


class Backup(View, kw_only=True):
    id: str
    name: str | None
    links: list[dict]
    metadata: t.Annotated[dict[str, str] | UnsetType, since("3.43")] = UNSET


class BackupDetail(Backup, kw_only=True):
    status: str
    size: int
    object_count: int
    container: str | None
    description: str | None
    fail_reason: str | None
    volume_id: str
    snapshot_id: str | None
    availability_zone: str | None
    created_at: str | None
    updated_at: str | None
    data_timestamp: str | None
    is_incremental: bool
    has_dependent_backups: bool
    project_id: t.Annotated[str | UnsetType, since("3.18")] = wire("os-backup-project-attr:project_id", UNSET)
    user_id: t.Annotated[str, since("3.56")]
    encryption_key_id: t.Annotated[str | None, since("3.64")] = None


class Restored(View):
    backup_id: str
    volume_id: str
    volume_name: str


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("backup:create", MEMBER, "Back up a volume.")
INDEX = api.rule("backup:get_all", READER, "List backups.")
SHOW = api.rule("backup:get", READER, "Show a backup.")
UPDATE = api.rule("backup:update", MEMBER, "Change a backup's name or description.")
DELETE = api.rule("backup:delete", MEMBER, "Delete a backup.")
RESTORE = api.rule("backup:restore", MEMBER, "Make a volume of a backup.")
PROJECT = api.rule("backup:backup_project_attribute", ADMIN, "See whose a backup is.")
RESET = api.rule("volume_extension:backup_admin_actions:reset_status", ADMIN, "Say which status a backup has.")
FORCE = api.rule("volume_extension:backup_admin_actions:force_delete", ADMIN, "Delete a backup in any state.")


def target(tx: Tx, request: Request, id: str) -> dict:
    """What policy is checked against: the backup's project."""
    return {"project_id": find_backup(tx, request, id).project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/backups", policy=CREATE, wrap="backup", status=202, errors=(400, 404, 413))
def create(tx: Tx, request: Request, body: BackupCreate) -> Backup:
    """Back up a volume, as it is now or as a snapshot has it; one in use only where that is asked for."""
    row = find(tx, request.context, body.volume_id)
    snapshot = find_snapshot(tx, request.context, body.snapshot_id) if body.snapshot_id else None
    _check_source(row, snapshot, truth(body.force))
    parent = _parent(tx, row) if truth(body.incremental) else None
    check_quota(tx, row.project_id, backups=1, backup_gigabytes=row.size)
    made = tx.insert(
        backups, project_id=row.project_id, user_id=request.context.user_id, volume_id=row.id, snapshot_id=body.snapshot_id, name=body.name,
        parent_id=parent.id if parent else None, description=body.description, container=body.container or "backups", size=row.size,
        status="creating",
        availability_zone=body.availability_zone or "nova", data_timestamp=snapshot.created_at if snapshot else clock.now(), file_id="",
        metadata=body.metadata or {}, origin={"bootable": row.bootable, "metadata": row.metadata, "image_metadata": row.image_metadata},
    )  # fmt: skip
    tx.update(backups, made.id, file_id=made.id)
    if snapshot:
        tx.update(snapshots, snapshot.id, status="backing-up")
    else:
        tx.update(volumes, row.id, status="backing-up")
    CreateBackup.start(tx, made.id, request_id=request.id)
    return _view(request, made)


@api.op("GET", "/backups", policy=INDEX, reply="backups")
def index(tx: Tx, request: Request, query: BackupQuery) -> Page[Backup]:
    """List backups, in short."""
    rows, marker, extra = page(tx, request, query, backups, _clauses(request, query))
    return Page([Backup(id=row.id, name=row.name, links=links(request, "backups", row.id)) for row in rows], marker, extra)


@api.op("GET", "/backups/detail", policy=INDEX, reply="backups")
def detail(tx: Tx, request: Request, query: BackupQuery) -> Page[BackupDetail]:
    """List backups whole."""
    rows, marker, extra = page(tx, request, query, backups, _clauses(request, query))
    return Page(_details(tx, request, rows), marker, extra)


@api.op("GET", "/backups/{id}", policy=SHOW, target=target, wrap="backup", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> BackupDetail:
    """Show a backup."""
    return _details(tx, request, [find_backup(tx, request, id)])[0]


@api.op("PUT", "/backups/{id}", policy=UPDATE, target=target, first="3.9", wrap="backup", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: BackupUpdate) -> Backup:
    """Change a backup's name, description or metadata."""
    row = find_backup(tx, request, id)
    changes = {name: value for name in ("name", "description", "metadata") if (value := getattr(body, name)) is not UNSET}
    if not changes:
        raise BadRequest("Invalid input for field/attribute backup: one of name, description and metadata is required.")
    tx.update(backups, row.id, **changes)
    return _view(request, find_backup(tx, request, id))


@api.op("DELETE", "/backups/{id}", policy=DELETE, target=target, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a backup that none builds on."""
    _delete(tx, request, id)


@api.op("POST", "/backups/{id}/restore", policy=RESTORE, target=target, wrap="restore", status=202, errors=(400, 404, 413))
def restore(tx: Tx, request: Request, id: str, body: Restore) -> Restored:
    """Put a backup's data on a volume: one that is there, or a new one."""
    backup = ready_backup(tx, request, id)
    row = _onto(tx, request, backup, body.volume_id) if body.volume_id else _anew(tx, request, backup, body.name)
    restoring(tx, backup, row)
    return Restored(backup_id=backup.id, volume_id=row.id, volume_name=row.name or "")


# -- actions -------------------------------------------------------------------------------------------------------


@api.op("POST", "/backups/{id}/action", action="os-reset_status", policy=RESET, target=target, status=202, errors=(400, 404))
def reset_status(tx: Tx, request: Request, id: str, body: ResetStatus) -> None:
    """Say which status a backup has."""
    tx.update(backups, find_backup(tx, request, id).id, status=body.status)


@api.op("POST", "/backups/{id}/action", action="os-force_delete", policy=FORCE, target=target, status=202, errors=(400, 404))
def force_delete(tx: Tx, request: Request, id: str, body: dict | None) -> None:
    """Delete a backup, whatever is being done to it; one that others build on not."""
    _delete(tx, request, id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _check_source(row: Row, snapshot: Row | None, forced: bool) -> None:
    """Raise BadRequest where a volume or snapshot cannot be backed up now."""
    if snapshot is not None:
        if snapshot.volume_id != row.id or snapshot.status != "available":
            raise BadRequest(f"Invalid snapshot: Snapshot to be backed up must be an available one of volume {row.id}, but the current "
                             f'status is "{snapshot.status}".')  # fmt: skip
        return
    if row.status == "in-use" and not forced:
        raise BadRequest("Invalid volume: Backing up an in-use volume must use the force flag.")
    if row.status not in ("available", "in-use"):
        raise BadRequest(f'Invalid volume: Volume to be backed up must be available or in-use, but the current status is "{row.status}".')


def _parent(tx: Tx, row: Row) -> Row:
    """The backup that an incremental one builds on: the newest. Raises BadRequest where there is none."""
    ready = tx.rows(backups, volume_id=row.id, project_id=row.project_id, status="available")
    if not ready:
        raise BadRequest("Invalid backup: No backups available to do an incremental backup.")
    return max(ready, key=lambda one: (one.data_timestamp, one.created_at))


def _delete(tx: Tx, request: Request, id: str) -> None:
    row = find_backup(tx, request, id)
    if row.status == "restoring":
        raise BadRequest("Invalid backup: Backup status must be available or error, but it is being restored.")
    if tx.rows(backups, parent_id=row.id):
        raise BadRequest("Invalid backup: Incremental backups exist for this backup.")
    DeleteBackup.begin(tx, row, request.id)


def _onto(tx: Tx, request: Request, backup: Row, volume_id: str) -> Row:
    row = find(tx, request.context, volume_id)
    if row.status != "available":
        raise BadRequest(f"Invalid volume: Volume to be restored to must be available, but its status is {row.status}.")
    if row.size < backup.size:
        raise BadRequest(f"Invalid volume: volume size {row.size} is too small to restore backup of size {backup.size}.")
    tx.update(volumes, row.id, status="restoring-backup")
    RefillVolume.start(tx, row.id, request_id=request.id, backup_file=backup.file_id)
    return row


def _anew(tx: Tx, request: Request, backup: Row, name: str | None) -> Row:
    return make_volume(tx, request, size_gib=backup.size, backup=backup, name=name or f"restore_backup_{backup.id}", **backup.origin)


def _view(request: Request, row: Row) -> Backup:
    return Backup(id=row.id, name=row.name, links=links(request, "backups", row.id), metadata=row.metadata)


def _details(tx: Tx, request: Request, rows: list[Row]) -> list[BackupDetail]:
    parents = {row.parent_id for row in tx.all(sa.select(backups.c.parent_id).where(backups.c.parent_id.in_([row.id for row in rows])))}
    admin = request.allows(PROJECT)
    return [BackupDetail(
        id=row.id, name=row.name, links=links(request, "backups", row.id), metadata=row.metadata, status=row.status, size=row.size,
        object_count=0, container=row.container, description=row.description, fail_reason=row.fault, volume_id=row.volume_id,
        snapshot_id=row.snapshot_id, availability_zone=row.availability_zone, created_at=moment(row.created_at), user_id=row.user_id,
        updated_at=moment(row.updated_at), data_timestamp=moment(row.data_timestamp), is_incremental=row.parent_id is not None,
        has_dependent_backups=row.id in parents, project_id=row.project_id if admin else UNSET,
    ) for row in rows]  # fmt: skip


def _clauses(request: Request, query: BackupQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    yield from whose(request, query, backups)
    yield from named(query, backups)
    if query.volume_id is not None:
        yield backups.c.volume_id == query.volume_id
