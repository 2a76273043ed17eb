"""Tasks: what came of work on images, as clients look at it. The work itself is sagas', one a task, which is their subject.

Upstream calls this API deprecated: images are imported by `POST /v2/images/{id}/import`, which makes tasks too.
"""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.config import Config
from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, BadRequest, NotFound, Page, Query, Request, UnsetType, View, paged
from ..kernel.work import Reconciler, supersede
from . import api, policy

# -- table ---------------------------------------------------------------------------------------------------------

tasks = table(
    "image_tasks",
    sa.Column("type", sa.String(30), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("owner", sa.String(64)),
    sa.Column("user_id", sa.String(64)),
    sa.Column("image_id", sa.String(64), index=True),
    sa.Column("request_id", sa.String(64)),
    sa.Column("input", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("expires_at", sa.DateTime, index=True),
)
"""`expires_at` is when a task that has ended is forgotten. A task outlives its image."""

# -- wire ----------------------------------------------------------------------------------------------------------

TYPES = ("import", "api_image_import", "location_import")
STATUSES = ("pending", "processing", "success", "failure")
LIVE = ("pending", "processing")
SORTABLE = ("created_at", "updated_at", "id", "type", "status", "owner", "expires_at")


class Brief(View, kw_only=True):
    """What lists have of a task."""

    id: str
    type: str
    status: str
    owner: str | None
    created_at: str
    updated_at: str
    self: str
    schema: str = "/v2/schemas/task"
    expires_at: str | UnsetType = UNSET


class Task(Brief, kw_only=True):
    input: dict | None
    result: dict | None
    message: str
    image_id: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET


class TaskQuery(Query):
    status: str | None = None
    type: str | None = None
    sort_key: str = "created_at"
    sort_dir: str = "desc"
    limit: str | None = None
    marker: str | None = None


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/tasks", policy=policy.TASKS, reply="tasks", errors=(400, 403))
def index(tx: Tx, request: Request, query: TaskQuery) -> Page[Brief]:
    """List tasks."""
    if query.status and query.status not in STATUSES:
        raise BadRequest(f"Invalid status value: {query.status}")
    if query.type and query.type != "import":
        raise BadRequest(f"Invalid type value: {query.type}")
    if query.sort_key not in SORTABLE:
        raise BadRequest("Sort key supplied was not valid.")
    if query.sort_dir not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {query.sort_dir}")
    wanted = [tasks.c[name] == value for name in ("status", "type") if (value := getattr(query, name))]
    rows, marker = paged(
        tx, sa.select(tasks).where(*wanted), tasks, order=[(query.sort_key, query.sort_dir)], limit=_limit(query.limit),
        marker=_marker(tx, query.marker), most=request.runtime.config.page_limit,
    )  # fmt: skip
    return Page([Brief(**_brief(row)) for row in rows], marker, {"schema": "/v2/schemas/tasks"})


@api.op("GET", "/tasks/{id}", policy=policy.TASKS, errors=(403, 404))
def show(tx: Tx, request: Request, id: str) -> Task:
    """Show a task, with what was asked for and what came of it."""
    row = tx.get(tasks, id=id)
    if row is None:
        raise NotFound(f"Could not find task {id}")
    return view(row)


# -- for imports ---------------------------------------------------------------------------------------------------


def add(tx: Tx, request: Request, type: str, input: dict, image_id: str | None) -> Row:
    """A task that has not begun, for whoever asks."""
    return tx.insert(
        tasks, type=type, status="pending", owner=request.context.project_id, user_id=request.context.user_id, image_id=image_id,
        request_id=request.id, input=input, message="", updated_at=clock.now(),
    )  # fmt: skip


def tell(tx: Tx, id: str, message: str) -> None:
    """How far a task is."""
    tx.update(tasks, id, status="processing", message=message)


def succeed(tx: Tx, config: Config, id: str, message: str, **result: t.Any) -> None:
    tx.update(tasks, id, status="success", message=message, result=result, expires_at=_expiry(config))


def fail(tx: Tx, config: Config, id: str, why: str) -> None:
    tx.update(tasks, id, status="failure", message=why, expires_at=_expiry(config))


def give_up(tx: Tx, config: Config, image_id: str) -> None:
    """End what is being done to an image that is deleted: whatever it left goes with the image."""
    for row in tx.all(sa.select(tasks).where(tasks.c.image_id == image_id, tasks.c.status.in_(LIVE))):
        supersede(tx, row.id)
        fail(tx, config, row.id, "The image was deleted.")


def of_image(tx: Tx, image_id: str) -> list[Row]:
    return tx.rows(tasks, image_id=image_id, order=tasks.c.created_at)


def view(row: Row) -> Task:
    more: dict[str, t.Any] = {name: getattr(row, name) or UNSET for name in ("image_id", "request_id", "user_id")}
    return Task(**_brief(row), **more, input=row.input, result=row.result, message=row.message)


class ImageTasks(Reconciler):
    """Tasks that ended long ago are forgotten."""

    name = "image-tasks"
    interval = 600.0

    async def run_once(self) -> None:
        await self.runtime.db.write(lambda tx: tx.execute(tasks.delete().where(tasks.c.expires_at < clock.now())))


# -- helpers -------------------------------------------------------------------------------------------------------


def _expiry(config: Config) -> dt.datetime:
    return clock.now() + dt.timedelta(hours=config.image_import.task_hours)


def _brief(row: Row) -> dict[str, t.Any]:
    return {
        "id": row.id, "type": row.type, "status": row.status, "owner": row.owner, "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at), "self": f"/v2/tasks/{row.id}", "expires_at": clock.iso(row.expires_at) or UNSET,
    }  # fmt: skip


def _limit(text: str | None) -> int:
    if text is None:
        return 25
    try:
        limit = int(text[:10])
    except ValueError:
        raise BadRequest("limit param must be an integer") from None
    if limit < 0:
        raise BadRequest("limit param must be positive")
    return limit


def _marker(tx: Tx, marker: str | None) -> str | None:
    if marker is None:
        return None
    if not ids.is_uuid(marker):
        raise BadRequest("Invalid marker format")
    if tx.get(tasks, id=marker) is None:
        raise BadRequest(f"Task with the given id {marker} was not found")
    return marker
