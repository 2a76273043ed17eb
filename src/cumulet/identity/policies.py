"""Policies: documents that operators keep here for services to read. Nothing in Cumulet decides by them."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api
from .attributes import Text, given, same_id, something, taken
from .entities import find, shown
from .listing import listed

# -- table ---------------------------------------------------------------------------------------------------------

policies = table(
    "identity_policies",
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("blob", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

Type = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class PolicyCreate(OpenBody):
    blob: Text
    type: Type


class PolicyUpdate(OpenBody):
    blob: Text | UnsetType = UNSET
    type: Type | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_policy", ADMIN_OR_SYSTEM_READER, "Show a policy document.")
LIST = api.rule("identity:list_policies", ADMIN_OR_SYSTEM_READER, "List policy documents.")
CREATE = api.rule("identity:create_policy", ADMIN, "Create a policy document.")
UPDATE = api.rule("identity:update_policy", ADMIN, "Update a policy document.")
DELETE = api.rule("identity:delete_policy", ADMIN, "Delete a policy document.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/policies", policy=CREATE, wrap="policy", status=201)
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a policy document."""
    fields, extra = taken(body, PolicyCreate, "policy")
    return view(request, tx.insert(policies, id=ids.new_hex(), blob=fields.blob, type=fields.type, extra=extra))


@api.op("GET", "/policies", policy=LIST, reply="policies")
def index(tx: Tx, request: Request) -> Page:
    """List policy documents."""
    return listed(tx, request, policies, lambda row: view(request, row), ("type",))


@api.op("GET", "/policies/{policy_id}", policy=GET, reply="policy", errors=(404,))
def show(tx: Tx, request: Request, policy_id: str) -> dict:
    """Show a policy document."""
    return view(request, find_policy(tx, policy_id))


@api.op("PATCH", "/policies/{policy_id}", policy=UPDATE, wrap="policy", errors=(404,))
def update(tx: Tx, request: Request, policy_id: str, body: dict[str, t.Any]) -> dict:
    """Change a policy document."""
    row = find_policy(tx, policy_id)
    something(body, "policy")
    same_id(body, policy_id, "policy ID")
    fields, extra = taken(body, PolicyUpdate, "policy")
    tx.update(policies, row.id, **given(fields), extra=row.extra | extra)
    return show(tx, request, policy_id)


@api.op("DELETE", "/policies/{policy_id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, policy_id: str) -> None:
    """Delete a policy document."""
    tx.delete(policies, id=find_policy(tx, policy_id).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_policy(tx: Tx, id: str) -> Row:
    return find(tx, policies, id, "policy")


def view(request: Request, row: Row) -> dict:
    return shown(request, "policies", row, "blob", "type")
