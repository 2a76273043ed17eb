"""Group snapshots: one of every volume of a group."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, Page, Request, View
from . import ADMIN, MEMBER, READER, api
from .groups import ResetStatus, find_group, find_group_snapshot
from .listing import ListQuery, page, whose
from .snapshots import take_snapshot
from .tables import group_snapshots, snapshots, volumes
from .wire import Id, Text, moment
from .workflows.groups import CreateGroupSnapshot, DeleteGroupSnapshot
from .workflows.snapshots import DeleteSnapshot


class GroupSnapshotCreate(Body):
    group_id: Id
    name: Text | None = None
    description: Text | None = None


class GroupSnapshotQuery(ListQuery):
    group_id: Id | None = None


class Brief(View):
    id: str
    name: str | None


class Created(Brief, kw_only=True):
    group_type_id: str


class GroupSnapshot(Created, kw_only=True):
    group_id: str
    status: str
    description: str | None
    created_at: str | None


CREATE = api.rule("group:create_group_snapshot", MEMBER, "Take a group snapshot.")
INDEX = api.rule("group:get_all_group_snapshots", READER, "List group snapshots.")
SHOW = api.rule("group:get_group_snapshot", READER, "Show a group snapshot.")
DELETE = api.rule("group:delete_group_snapshot", MEMBER, "Delete a group snapshot.")
RESET = api.rule("group:reset_group_snapshot_status", ADMIN, "Say which status a group snapshot has.")

FIRST = "3.14"


def target(tx: Tx, request: Request, id: str) -> dict:
    """What policy is checked against: the group snapshot's project."""
    return {"project_id": find_group_snapshot(tx, request, id).project_id}


@api.op("POST", "/group_snapshots", policy=CREATE, first=FIRST, wrap="group_snapshot", status=202, errors=(400, 404, 413))
def create(tx: Tx, request: Request, body: GroupSnapshotCreate) -> Created:
    """Take a snapshot of every volume of a group."""
    group = find_group(tx, request, body.group_id)
    inside = tx.rows(volumes, group_id=group.id)
    if not inside:
        raise BadRequest(f"Invalid group: The source group {group.id} is empty. No group snapshot will be created.")
    made = tx.insert(
        group_snapshots, project_id=group.project_id, user_id=request.context.user_id, name=body.name, description=body.description,
        status="creating", group_id=group.id, group_type_id=group.group_type_id,
    )  # fmt: skip
    for row in inside:
        take_snapshot(tx, request, row, name=body.name, description=body.description, group_snapshot_id=made.id)
    CreateGroupSnapshot.start(tx, made.id, request_id=request.id)
    return Created(id=made.id, name=made.name, group_type_id=made.group_type_id)


@api.op("GET", "/group_snapshots", policy=INDEX, first=FIRST, reply="group_snapshots")
def index(tx: Tx, request: Request, query: GroupSnapshotQuery) -> Page[Brief]:
    """List group snapshots, in short."""
    rows, marker, extra = page(tx, request, query, group_snapshots, _clauses(request, query))
    return Page([Brief(id=row.id, name=row.name) for row in rows], marker, extra)


@api.op("GET", "/group_snapshots/detail", policy=INDEX, first=FIRST, reply="group_snapshots")
def detail(tx: Tx, request: Request, query: GroupSnapshotQuery) -> Page[GroupSnapshot]:
    """List group snapshots whole."""
    rows, marker, extra = page(tx, request, query, group_snapshots, _clauses(request, query))
    return Page([_view(row) for row in rows], marker, extra)


@api.op("GET", "/group_snapshots/{id}", policy=SHOW, target=target, first=FIRST, wrap="group_snapshot", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> GroupSnapshot:
    """Show a group snapshot."""
    return _view(find_group_snapshot(tx, request, id))


@api.op("DELETE", "/group_snapshots/{id}", policy=DELETE, target=target, first=FIRST, status=202, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a group snapshot, and its snapshots."""
    row = find_group_snapshot(tx, request, id)
    for snapshot in tx.rows(snapshots, group_snapshot_id=row.id):
        DeleteSnapshot.begin(tx, snapshot, request.id)
    DeleteGroupSnapshot.begin(tx, row, request.id)


@api.op(
    "POST", "/group_snapshots/{id}/action", action="reset_status", policy=RESET, target=target, first="3.19", status=202, errors=(400, 404)
)
def reset_status(tx: Tx, request: Request, id: str, body: ResetStatus) -> None:
    """Say which status a group snapshot has."""
    tx.update(group_snapshots, find_group_snapshot(tx, request, id).id, status=body.status)


def _view(row: Row) -> GroupSnapshot:
    return GroupSnapshot(id=row.id, name=row.name, group_type_id=row.group_type_id, group_id=row.group_id, status=row.status,
                         description=row.description, created_at=moment(row.created_at))  # fmt: skip


def _clauses(request: Request, query: GroupSnapshotQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    yield from whose(request, query, group_snapshots)
    c = group_snapshots.c
    for column, value in ((c.name, query.name), (c.status, query.status), (c.group_id, query.group_id)):
        if value is not None:
            yield column == value
