"""OAuth 1.0a consumers: programs that may ask users to let them act for them."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, NotFound
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from .attributes import Text, given, same_id, something, taken
from .entities import shown
from .listing import listed

# -- table ---------------------------------------------------------------------------------------------------------

consumers = table(
    "identity_oauth_consumers",
    sa.Column("description", sa.Text),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------


class ConsumerCreate(OpenBody):
    description: Text | None = None


class ConsumerUpdate(OpenBody):
    description: Text | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_consumer", ADMIN_OR_SYSTEM_READER, "Show an OAuth consumer.")
LIST = api.rule("identity:list_consumers", ADMIN_OR_SYSTEM_READER, "List OAuth consumers.")
CREATE = api.rule("identity:create_consumer", ADMIN, "Create an OAuth consumer.")
UPDATE = api.rule("identity:update_consumer", ADMIN, "Update an OAuth consumer.")
DELETE = api.rule("identity:delete_consumer", ADMIN, "Delete an OAuth consumer.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/OS-OAUTH1/consumers", policy=CREATE, wrap="consumer", status=201)
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a consumer. Its secret is shown this once."""
    fields, extra = taken(body, ConsumerCreate, "consumer")
    row = tx.insert(consumers, id=ids.new_hex(), description=fields.description, secret=ids.new_hex(), extra=extra)
    return _view(request, row) | {"secret": row.secret}


@api.op("GET", "/OS-OAUTH1/consumers", policy=LIST, reply="consumers")
def index(tx: Tx, request: Request) -> Page:
    """List consumers."""
    return listed(tx, request, consumers, lambda row: _view(request, row), ())


@api.op("GET", "/OS-OAUTH1/consumers/{consumer_id}", policy=GET, reply="consumer", errors=(404,))
def show(tx: Tx, request: Request, consumer_id: str) -> dict:
    """Show a consumer."""
    return _view(request, find_consumer(tx, consumer_id))


@api.op("PATCH", "/OS-OAUTH1/consumers/{consumer_id}", policy=UPDATE, wrap="consumer", errors=(404,))
def update(tx: Tx, request: Request, consumer_id: str, body: dict[str, t.Any]) -> dict:
    """Change a consumer's description, and never its secret."""
    row = find_consumer(tx, consumer_id)
    something(body, "consumer")
    same_id(body, consumer_id)
    if "secret" in body:
        raise BadRequest("Cannot change consumer secret")
    fields, extra = taken(body, ConsumerUpdate, "consumer")
    tx.update(consumers, row.id, **given(fields), extra=row.extra | extra)
    return show(tx, request, consumer_id)


@api.op("DELETE", "/OS-OAUTH1/consumers/{consumer_id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, consumer_id: str) -> None:
    """Delete a consumer; what users granted it, and the tokens that it got, end with it."""
    tx.delete(consumers, id=find_consumer(tx, consumer_id).id)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_consumer(tx: Tx, id: str) -> Row:
    row = tx.get(consumers, id=id)
    if row is None:
        raise NotFound("Consumer not found")
    return row


def _view(request: Request, row: Row) -> dict:
    return shown(request, "OS-OAUTH1/consumers", row, "description")
