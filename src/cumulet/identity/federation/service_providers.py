"""Service providers: other clouds that take this one's word on who somebody is."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx, table
from ...kernel.errors import BadRequest, Conflict
from ...kernel.http import Body, Page, Request
from ...kernel.http.wire import UNSET, UnsetType
from .. import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from ..attributes import Text, check_chosen_id, given
from ..entities import find, shown
from ..listing import listed
from ..state import state

# -- table ---------------------------------------------------------------------------------------------------------

service_providers = table(
    "identity_service_providers",
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("auth_url", sa.String(225), nullable=False),
    sa.Column("sp_url", sa.String(225), nullable=False),
    sa.Column("relay_state_prefix", sa.String(255), nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

Url = t.Annotated[str, msgspec.Meta(max_length=225, pattern="^[a-zA-Z0-9+.-]+:.+")]
Prefix = t.Annotated[str, msgspec.Meta(max_length=255)]
RELAY_STATE_PREFIX = "ss:mem:"


class ProviderCreate(Body):
    auth_url: Url
    sp_url: Url
    enabled: bool = False
    description: Text | None = None
    relay_state_prefix: Prefix | None = None


class ProviderUpdate(Body):
    auth_url: Url | UnsetType = UNSET
    sp_url: Url | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    relay_state_prefix: Prefix | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("identity:create_service_provider", ADMIN, "Create a service provider.")
LIST = api.rule("identity:list_service_providers", ADMIN_OR_SYSTEM_READER, "List service providers.")
GET = api.rule("identity:get_service_provider", ADMIN_OR_SYSTEM_READER, "Show a service provider.")
UPDATE = api.rule("identity:update_service_provider", ADMIN, "Update a service provider.")
DELETE = api.rule("identity:delete_service_provider", ADMIN, "Delete a service provider.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-FEDERATION/service_providers"
ONE = ALL + "/{service_provider_id}"


@api.op("PUT", ONE, policy=CREATE, wrap="service_provider", status=201, errors=(409,))
def create(tx: Tx, request: Request, service_provider_id: str, body: ProviderCreate) -> dict:
    """Create a service provider."""
    check_chosen_id(service_provider_id)
    if tx.get(service_providers, id=service_provider_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store service_provider - Duplicate entry found with ID {service_provider_id}.")
    epoch.bump(tx)
    return _view(request, tx.insert(service_providers, id=service_provider_id, **_values(body)))


@api.op("GET", ALL, policy=LIST, reply="service_providers")
def index(tx: Tx, request: Request) -> Page:
    """List service providers."""
    return listed(tx, request, service_providers, lambda row: _view(request, row), ("id", "enabled"))


@api.op("GET", ONE, policy=GET, reply="service_provider", errors=(404,))
def show(tx: Tx, request: Request, service_provider_id: str) -> dict:
    """Show a service provider."""
    return _view(request, find_provider(tx, service_provider_id))


@api.op("PATCH", ONE, policy=UPDATE, wrap="service_provider", errors=(404,))
def update(tx: Tx, request: Request, service_provider_id: str, body: ProviderUpdate) -> dict:
    """Change a service provider."""
    row = find_provider(tx, service_provider_id)
    values = _values(body)
    if not values:
        raise BadRequest("Invalid input for field/attribute service_provider: {} does not have enough properties")
    tx.update(service_providers, row.id, **values)
    epoch.bump(tx)
    return show(tx, request, service_provider_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, service_provider_id: str) -> None:
    """Delete a service provider."""
    tx.delete(service_providers, id=find_provider(tx, service_provider_id).id)
    epoch.bump(tx)


def in_token(tx: Tx, request: Request) -> list[dict]:
    """What every token says of the clouds that a client could go on to."""
    return state(request.runtime).providers.get(tx, _in_token)


def _in_token(tx: Tx) -> list[dict]:
    rows = sorted(tx.rows(service_providers, enabled=True), key=lambda row: row.id)
    return [{"id": row.id, "auth_url": row.auth_url, "sp_url": row.sp_url} for row in rows]


# -- helpers -------------------------------------------------------------------------------------------------------


def find_provider(tx: Tx, id: str) -> Row:
    return find(tx, service_providers, id, "Service Provider")


def _values(body: ProviderCreate | ProviderUpdate) -> dict[str, t.Any]:
    values = given(body)
    if "relay_state_prefix" in values and values["relay_state_prefix"] is None:
        values["relay_state_prefix"] = RELAY_STATE_PREFIX
    return values


def _view(request: Request, row: Row) -> dict:
    return shown(request, "OS-FEDERATION/service_providers", row, "enabled", "description", "auth_url", "sp_url", "relay_state_prefix")
