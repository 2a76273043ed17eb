"""Messages: why something that was asked for did not come about, to the person who asked."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import Page, Request, View
from . import MEMBER, READER, api
from .listing import ListQuery, page
from .lookup import theirs
from .tables import messages
from .wire import Id, links, moment

KEPT = dt.timedelta(days=30)
EVENTS = {"create": "VOLUME_VOLUME_001_002", "schedule": "VOLUME_VOLUME_001_002", "extend": "VOLUME_VOLUME_010_001",
          "upload": "VOLUME_VOLUME_003_001", "snapshot": "VOLUME_SNAPSHOT_008_001", "backup": "VOLUME_BACKUP_011_001"}  # fmt: skip
"""What was being done -> the event's name, by which clients may look messages up."""


class Message(View):
    id: str
    request_id: str | None
    message_level: str
    event_id: str
    resource_type: str
    resource_uuid: str
    user_message: str
    created_at: str | None
    guaranteed_until: str | None
    links: list[dict]


class MessageQuery(ListQuery):
    resource_type: Id | None = None
    resource_uuid: Id | None = None
    event_id: Id | None = None
    message_level: Id | None = None
    request_id: Id | None = None


INDEX = api.rule("message:get_all", READER, "List messages.")
SHOW = api.rule("message:get", READER, "Show a message.")
DELETE = api.rule("message:delete", MEMBER, "Delete a message.")


@api.op("GET", "/messages", policy=INDEX, first="3.3", reply="messages")
def index(tx: Tx, request: Request, query: MessageQuery) -> Page[Message]:
    """List messages."""
    rows, marker, extra = page(tx, request, query, messages, _clauses(request, query))
    return Page([_view(request, row) for row in rows], marker, extra)


@api.op("GET", "/messages/{id}", policy=SHOW, first="3.3", wrap="message", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Message:
    """Show a message."""
    return _view(request, _find(tx, request, id))


@api.op("DELETE", "/messages/{id}", policy=DELETE, first="3.3", status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a message."""
    tx.delete(messages, id=_find(tx, request, id).id)


def told(tx: Tx, resource: Row | None, doing: str, why: str, request_id: str | None, kind: str = "VOLUME") -> None:
    """Tell the owner of a resource why it failed."""
    if resource is not None:
        tx.insert(messages, project_id=resource.project_id, request_id=request_id, resource_type=kind, resource_id=resource.id,
                  event_id=EVENTS[doing], text=f"{doing} {kind.lower()}:{why}", level="ERROR")  # fmt: skip


def _find(tx: Tx, request: Request, id: str) -> Row:
    return theirs(tx, request.context, messages, id, f"Message {id} could not be found.")


def _clauses(request: Request, query: MessageQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    c = messages.c
    yield c.project_id == request.context.project_id
    for column, value in ((c.resource_type, query.resource_type), (c.resource_id, query.resource_uuid), (c.event_id, query.event_id),
                          (c.level, query.message_level), (c.request_id, query.request_id)):  # fmt: skip
        if value is not None:
            yield column == value


def _view(request: Request, row: Row) -> Message:
    return Message(
        id=row.id, request_id=row.request_id, message_level=row.level, event_id=row.event_id, resource_type=row.resource_type,
        resource_uuid=row.resource_id, user_message=row.text, created_at=moment(row.created_at),
        guaranteed_until=moment(row.created_at + KEPT), links=links(request, "messages", row.id),
    )  # fmt: skip
