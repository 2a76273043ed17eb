"""Mappings: the rules by which what an identity provider says of somebody becomes a user and groups here."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx, table
from ...kernel.errors import BadRequest, Conflict
from ...kernel.http import Page, Request
from .. import ADMIN, ADMIN_OR_SYSTEM_READER, api
from ..attributes import check_chosen_id
from ..entities import find, shown
from ..listing import listed
from . import rule_schema
from .rules import RuleError

# -- table ---------------------------------------------------------------------------------------------------------

mappings = table(
    "identity_mappings",
    sa.Column("rules", sa.JSON, nullable=False),
    sa.Column("schema_version", sa.String(5), nullable=False),
)

# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("identity:create_mapping", ADMIN, "Create a mapping.")
LIST = api.rule("identity:list_mappings", ADMIN_OR_SYSTEM_READER, "List mappings.")
GET = api.rule("identity:get_mapping", ADMIN_OR_SYSTEM_READER, "Show a mapping.")
UPDATE = api.rule("identity:update_mapping", ADMIN, "Update a mapping.")
DELETE = api.rule("identity:delete_mapping", ADMIN, "Delete a mapping.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-FEDERATION/mappings"
ONE = ALL + "/{mapping_id}"


@api.op("PUT", ONE, policy=CREATE, wrap="mapping", status=201, errors=(409,))
def create(tx: Tx, request: Request, mapping_id: str, body: dict[str, t.Any]) -> dict:
    """Create a mapping."""
    check_chosen_id(mapping_id)
    values = _checked(body)
    if tx.get(mappings, id=mapping_id) is not None:
        raise Conflict("Conflict occurred attempting to store mapping - Duplicate entry.")
    return _view(request, tx.insert(mappings, id=mapping_id, **values))


@api.op("GET", ALL, policy=LIST, reply="mappings")
def index(tx: Tx, request: Request) -> Page:
    """List mappings."""
    return listed(tx, request, mappings, lambda row: _view(request, row), ())


@api.op("GET", ONE, policy=GET, reply="mapping", errors=(404,))
def show(tx: Tx, request: Request, mapping_id: str) -> dict:
    """Show a mapping."""
    return _view(request, find_mapping(tx, mapping_id))


@api.op("PATCH", ONE, policy=UPDATE, wrap="mapping", errors=(404,))
def update(tx: Tx, request: Request, mapping_id: str, body: dict[str, t.Any]) -> dict:
    """Give a mapping other rules; they are of schema version 1.0, where the request does not say which."""
    values = _checked(body)
    tx.update(mappings, find_mapping(tx, mapping_id).id, **values)
    return show(tx, request, mapping_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, mapping_id: str) -> None:
    """Delete a mapping. A protocol that goes by it lets nobody in until there is one of this name again."""
    tx.delete(mappings, id=find_mapping(tx, mapping_id).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_mapping(tx: Tx, id: str) -> Row:
    return find(tx, mappings, id, "mapping")


def _checked(body: dict[str, t.Any]) -> dict[str, t.Any]:
    try:
        version = rule_schema.check(body)
    except RuleError as error:
        raise BadRequest(str(error)) from None
    return {"rules": body["rules"], "schema_version": version}


def _view(request: Request, row: Row) -> dict:
    return shown(request, "OS-FEDERATION/mappings", row, "rules", "schema_version")
