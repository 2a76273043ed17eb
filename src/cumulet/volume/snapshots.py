"""Snapshots: a volume's data at one moment."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, Page, Request, UnsetType, View, since
from . import ADMIN, MEMBER, READER, api
from .listing import ListQuery, named, page, whose
from .lookup import find, find_snapshot
from .quota import check_quota
from .tables import snapshots
from .wire import Id, Metadata, Text, Truth, given, moment, renamed, truth, wire
from .workflows.snapshots import CreateSnapshot, DeleteSnapshot

# -- wire ----------------------------------------------------------------------------------------------------------


class SnapshotCreate(Body):
    volume_id: Id | None
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    metadata: Metadata | None = None
    force: Truth | None = None


class SnapshotUpdate(Body):
    name: Text | None | UnsetType = UNSET
    display_name: Text | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    display_description: Text | None | UnsetType = UNSET


class SnapshotQuery(ListQuery):
    volume_id: Id | None = None


class Snapshot(View, kw_only=True):
    id: str
    name: str | None
    description: str | None
    volume_id: str
    status: str
    size: int
    metadata: dict[str, str]
    created_at: str | None
    updated_at: str | None
    group_snapshot_id: t.Annotated[str | None, since("3.14")]
    user_id: t.Annotated[str, since("3.41")]
    consumes_quota: t.Annotated[bool, since("3.65")]


class SnapshotDetail(Snapshot, kw_only=True):
    progress: str = wire("os-extended-snapshot-attributes:progress")
    project_id: str = wire("os-extended-snapshot-attributes:project_id")


class Nothing(Body):
    """An action without parameters."""


class ResetStatus(Body):
    status: t.Literal["available", "creating", "deleting", "error", "error_deleting", "backing-up", "restoring", "unmanaging"]


class UpdateStatus(Body):
    status: t.Literal["creating", "available", "deleting", "error", "error_deleting"]
    progress: t.Annotated[str, msgspec.Meta(pattern=r"^(100|[1-9]?\d)%$")] | None = None


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("volume:create_snapshot", MEMBER, "Take a snapshot.")
SHOW = api.rule("volume:get_snapshot", READER, "Show a snapshot.")
INDEX = api.rule("volume:get_all_snapshots", READER, "List snapshots.")
UPDATE = api.rule("volume:update_snapshot", MEMBER, "Change a snapshot's name or description.")
DELETE = api.rule("volume:delete_snapshot", MEMBER, "Delete a snapshot.")
RESET = api.rule("volume_extension:snapshot_admin_actions:reset_status", ADMIN, "Say which status a snapshot has.")
FORCE = api.rule("volume_extension:snapshot_admin_actions:force_delete", ADMIN, "Delete a snapshot in any state.")
STATUS = api.rule("snapshot_extension:snapshot_actions:update_snapshot_status", MEMBER, "Change a snapshot's status between some.")

STATUS_CHANGES = {"creating": ("creating", "available", "error"), "deleting": ("deleting", "error_deleting")}
"""What a snapshot's owner may change a status to, by what it is."""


def target(tx: Tx, request: Request, id: str, **_: str) -> dict:
    """What policy is checked against: the snapshot's project."""
    return {"project_id": find_snapshot(tx, request.context, id).project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/snapshots", policy=CREATE, wrap="snapshot", status=202, errors=(400, 404, 413))
def create(tx: Tx, request: Request, body: SnapshotCreate) -> Snapshot:
    """Take a snapshot of a volume, of one in use only where that is asked for (from 3.66: of any)."""
    row = find(tx, request.context, body.volume_id or "")
    forced = truth(body.force)
    if request.version >= (3, 66):
        if body.force is not None and not forced:
            raise BadRequest("Invalid input received: force is always true from API version 3.66; leave it out, or use an earlier version.")
        forced = True
    made = take_snapshot(
        tx, request, row, in_use=forced, name=given(body.name, body.display_name), metadata=body.metadata or {},
        description=given(body.description, body.display_description),
    )  # fmt: skip
    return view(made)


@api.op("GET", "/snapshots", policy=INDEX, reply="snapshots")
def index(tx: Tx, request: Request, query: SnapshotQuery) -> Page[Snapshot]:
    """List snapshots."""
    rows, marker, extra = page(tx, request, query, snapshots, _clauses(request, query))
    return Page([view(row) for row in rows], marker, extra)


@api.op("GET", "/snapshots/detail", policy=INDEX, reply="snapshots")
def detail(tx: Tx, request: Request, query: SnapshotQuery) -> Page[SnapshotDetail]:
    """List snapshots whole."""
    rows, marker, extra = page(tx, request, query, snapshots, _clauses(request, query))
    return Page([_detail(row) for row in rows], marker, extra)


@api.op("GET", "/snapshots/{id}", policy=SHOW, target=target, wrap="snapshot", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> SnapshotDetail:
    """Show a snapshot."""
    return _detail(find_snapshot(tx, request.context, id))


@api.op("PUT", "/snapshots/{id}", policy=UPDATE, target=target, wrap="snapshot", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: SnapshotUpdate) -> Snapshot:
    """Change a snapshot's name or description."""
    row = find_snapshot(tx, request.context, id)
    changes = renamed(body)
    if not changes:
        raise BadRequest("Invalid input for field/attribute snapshot: one of name and description is required.")
    tx.update(snapshots, row.id, **changes)
    return view(find_snapshot(tx, request.context, id))


@api.op("DELETE", "/snapshots/{id}", policy=DELETE, target=target, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a snapshot."""
    row = find_snapshot(tx, request.context, id)
    if row.status in ("backing-up", "restoring") or row.group_snapshot_id:
        raise BadRequest(f"Invalid snapshot: Snapshot status must be available or error, and the snapshot must not be part of a group "
                         f"snapshot. It is '{row.status}'.")  # fmt: skip
    DeleteSnapshot.begin(tx, row, request.id)


# -- actions -------------------------------------------------------------------------------------------------------

ACTION = "/snapshots/{id}/action"


@api.op("POST", ACTION, action="os-reset_status", policy=RESET, target=target, status=202, errors=(400, 404))
def reset_status(tx: Tx, request: Request, id: str, body: ResetStatus) -> None:
    """Say which status a snapshot has."""
    tx.update(snapshots, find_snapshot(tx, request.context, id).id, status=body.status)


@api.op("POST", ACTION, action="os-force_delete", policy=FORCE, target=target, status=202, errors=(404,))
def force_delete(tx: Tx, request: Request, id: str, body: Nothing | None) -> None:
    """Delete a snapshot, whatever is being done to it."""
    DeleteSnapshot.begin(tx, find_snapshot(tx, request.context, id), request.id)


@api.op("POST", ACTION, action="os-update_snapshot_status", policy=STATUS, target=target, status=202, errors=(400, 404))
def update_status(tx: Tx, request: Request, id: str, body: UpdateStatus) -> None:
    """Change the status of a snapshot that is being made or deleted."""
    row = find_snapshot(tx, request.context, id)
    if body.status not in STATUS_CHANGES.get(row.status, ()):
        raise BadRequest(f"Snapshot status {row.status} not allowed for update_snapshot_status to {body.status}")
    tx.update(snapshots, row.id, status=body.status, progress=body.progress or row.progress)


# -- helpers -------------------------------------------------------------------------------------------------------


def take_snapshot(tx: Tx, request: Request, volume: Row, *, in_use: bool = True, metadata: dict[str, str] | None = None,
                  **values: t.Any) -> Row:  # fmt: skip
    """A snapshot of a volume, of one in use only where that is allowed, and the work that takes it. Raises BadRequest,
    QuotaReached."""
    free = ("available", "in-use") if in_use else ("available",)
    if volume.status not in free:
        raise BadRequest(f"Invalid volume: Volume {volume.id} status must be {' or '.join(free)}, but current status is: {volume.status}.")
    check_quota(tx, volume.project_id, snapshots=1, gigabytes=volume.size)
    row = tx.insert(snapshots, project_id=volume.project_id, user_id=request.context.user_id, volume_id=volume.id, size=volume.size,
                    status="creating", progress="0%", metadata=metadata or {}, **values)  # fmt: skip
    CreateSnapshot.start(tx, row.id, request_id=request.id)
    return row


def view(row: Row) -> Snapshot:
    return Snapshot(**_common(row))


def _detail(row: Row) -> SnapshotDetail:
    return SnapshotDetail(**_common(row), progress=row.progress, project_id=row.project_id)


def _common(row: Row) -> dict[str, t.Any]:
    return {
        "id": row.id, "name": row.name, "description": row.description, "volume_id": row.volume_id, "status": row.status,
        "size": row.size, "metadata": row.metadata, "created_at": moment(row.created_at), "updated_at": moment(row.updated_at),
        "group_snapshot_id": row.group_snapshot_id, "user_id": row.user_id, "consumes_quota": True,
    }  # fmt: skip


def _clauses(request: Request, query: SnapshotQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    yield from whose(request, query, snapshots)
    yield from named(query, snapshots)
    if query.volume_id is not None:
        yield snapshots.c.volume_id == query.volume_id
