"""Attachments: who uses a volume, how, and where. The newer way beside the volume's own actions."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import Body, Page, Request, View, since
from . import MEMBER, READER, api
from .actions import Uuid, check_free, check_mode, check_not_computes
from .connections import connection_info
from .listing import ListQuery, page, whose
from .lookup import find, theirs
from .tables import attachments, volumes
from .wire import Id, moment
from .workflows.rows import settle

# -- wire ----------------------------------------------------------------------------------------------------------


class AttachmentCreate(Body):
    volume_uuid: Id
    instance_uuid: Uuid | None = None
    connector: dict[str, t.Any] | None = None
    mode: t.Annotated[t.Literal["rw", "ro", "null"] | None, since("3.54")] = None


class AttachmentUpdate(Body):
    connector: t.Annotated[dict[str, t.Any], msgspec.Meta(min_length=1)]


class AttachmentQuery(ListQuery):
    volume_id: Id | None = None
    instance_id: Id | None = None
    attach_status: Id | None = None


class Summary(View, kw_only=True):
    id: str
    status: str
    instance: str | None
    volume_id: str


class Attachment(Summary, kw_only=True):
    attached_at: str
    detached_at: str
    attach_mode: str
    connection_info: dict[str, t.Any]


# -- policy --------------------------------------------------------------------------------------------------------

SHOW = api.rule("volume:attachment_get", READER, "Show attachments.")
CREATE = api.rule("volume:attachment_create", MEMBER, "Attach a volume, or reserve it.")
UPDATE = api.rule("volume:attachment_update", MEMBER, "Connect a reserved volume.")
DELETE = api.rule("volume:attachment_delete", MEMBER, "End an attachment.")
COMPLETE = api.rule("volume:attachment_complete", MEMBER, "Say that a volume is attached.")
BOOTABLE = api.rule("volume:multiattach_bootable_volume", MEMBER, "Attach a bootable volume to several servers.")


def target(tx: Tx, request: Request, id: str) -> dict:
    """What policy is checked against: the attachment's project."""
    return {"project_id": _find(tx, request, id).project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/attachments", policy=CREATE, first="3.27", wrap="attachment", status=200, errors=(400, 403, 404, 503))
async def create(request: Request, body: AttachmentCreate) -> Attachment:
    """Reserve a volume or, with a connector, learn how to reach it too."""
    runtime = request.runtime
    id = await runtime.db.write(lambda tx: _reserve(tx, request, body))
    if body.connector:
        try:
            return await _connect(request, id, body.connector)
        except Exception:
            await runtime.db.write(lambda tx: _end(tx, id))
            raise
    return await runtime.db.read(lambda tx: _view(_find(tx, request, id)))


@api.op("GET", "/attachments", policy=SHOW, first="3.27", reply="attachments")
def index(tx: Tx, request: Request, query: AttachmentQuery) -> Page[Summary]:
    """List attachments, in short."""
    rows, marker, extra = page(tx, request, query, attachments, _clauses(request, query))
    return Page([_summary(row) for row in rows], marker, extra)


@api.op("GET", "/attachments/detail", policy=SHOW, first="3.27", reply="attachments")
def detail(tx: Tx, request: Request, query: AttachmentQuery) -> Page[Attachment]:
    """List attachments whole."""
    rows, marker, extra = page(tx, request, query, attachments, _clauses(request, query))
    return Page([_view(row) for row in rows], marker, extra)


@api.op("GET", "/attachments/{id}", policy=SHOW, target=target, first="3.27", wrap="attachment", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Attachment:
    """Show an attachment."""
    return _view(_find(tx, request, id))


@api.op("PUT", "/attachments/{id}", policy=UPDATE, target=target, first="3.27", wrap="attachment", errors=(400, 404, 409, 503))
async def update(request: Request, id: str, body: AttachmentUpdate) -> Attachment:
    """Learn how a host reaches a reserved volume."""
    return await _connect(request, id, body.connector)


@api.op(
    "POST", "/attachments/{id}/action", action="os-complete", policy=COMPLETE, target=target, first="3.44", status=204, errors=(404, 409)
)
def complete(tx: Tx, request: Request, id: str, body: dict | None) -> None:
    """Say that a volume is attached."""
    row = _find(tx, request, id)
    check_not_computes(row)
    tx.update(attachments, row.id, status="attached", attached_at=row.attached_at or clock.now())
    tx.update(volumes, row.volume_id, status="in-use")


@api.op("DELETE", "/attachments/{id}", policy=DELETE, target=target, first="3.27", reply="attachments", errors=(404, 409))
def delete(tx: Tx, request: Request, id: str) -> list[Summary]:
    """End an attachment; what is left of the volume's."""
    row = _find(tx, request, id)
    check_not_computes(row)
    _end(tx, row.id)
    return [_summary(left) for left in tx.rows(attachments, volume_id=row.volume_id)]


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    return theirs(tx, request.context, attachments, id, f"Volume attachment could not be found with filter: attachment_id = {id}.")


def _reserve(tx: Tx, request: Request, body: AttachmentCreate) -> str:
    row = find(tx, request.context, body.volume_uuid)
    request.enforce(CREATE, {"project_id": row.project_id})
    if not (row.status in ("reserved", "downloading") and row.multiattach):
        check_free(row, "reserve")
    if row.status == "in-use" and row.bootable:
        request.enforce(BOOTABLE, {"project_id": row.project_id})
    mode = body.mode or (body.connector or {}).get("mode") or "rw"
    mode = mode if mode in ("rw", "ro") else "rw"
    check_mode(row, mode)
    if row.status == "available":
        tx.update(volumes, row.id, status="reserved")
    return tx.insert(attachments, volume_id=row.id, project_id=row.project_id, instance_id=body.instance_uuid, status="reserved",
                     attach_mode=mode, connection={}).id  # fmt: skip


async def _connect(request: Request, id: str, connector: dict[str, t.Any]) -> Attachment:
    """Ask the volume's host, and write down what it says."""
    db = request.runtime.db
    row = await db.read(lambda tx: find(tx, request.context, _find(tx, request, id).volume_id))
    found = await connection_info(request.runtime, row, connector)
    return await db.write(lambda tx: _connected(tx, request, id, connector, found))


def _connected(tx: Tx, request: Request, id: str, connector: dict[str, t.Any], found: dict) -> Attachment:
    """From 3.44 an attachment is attached when that is said; before, at once."""
    row = _find(tx, request, id)
    check_not_computes(row)
    later = request.version >= (3, 44)
    mountpoint = connector.get("mountpoint")
    tx.update(
        attachments, row.id, status="attaching" if later else "attached", attached_host=connector["host"], connector=connector,
        mountpoint=mountpoint.replace("\x00", "")[:255] if isinstance(mountpoint, str) else row.mountpoint, attached_at=clock.now(),
        connection=found["data"] | {"driver_volume_type": found["driver_volume_type"], "attachment_id": row.id, "volume_id": row.volume_id},
    )  # fmt: skip
    tx.update(volumes, {"id": row.volume_id, "status": "reserved"}, status="attaching" if later else "in-use")
    return _view(_find(tx, request, id))


def _end(tx: Tx, id: str) -> None:
    row = tx.get(attachments, id=id)
    if row is not None:
        tx.delete(attachments, id=id)
        settle(tx, row.volume_id)


def _summary(row: Row) -> Summary:
    return Summary(id=row.id, status=row.status, instance=row.instance_id, volume_id=row.volume_id)


def _view(row: Row) -> Attachment:
    return Attachment(
        id=row.id, status=row.status, instance=row.instance_id, volume_id=row.volume_id, attached_at=moment(row.attached_at) or "",
        detached_at="", attach_mode=row.attach_mode, connection_info=row.connection,
    )  # fmt: skip


def _clauses(request: Request, query: AttachmentQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    c = attachments.c
    yield from whose(request, query, attachments)
    for column, value in (
        (c.volume_id, query.volume_id),
        (c.instance_id, query.instance_id),
        (c.status, query.attach_status or query.status),
    ):
        if value is not None:
            yield column == value
