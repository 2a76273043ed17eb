"""Identity providers: whose word on who somebody is counts here, and the names that they go by (remote ids)."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel import ids
from ...kernel.db import Row, Tx
from ...kernel.errors import BadRequest, Conflict, Forbidden
from ...kernel.http import Body, Page, Request
from ...kernel.http.wire import UNSET, UnsetType
from .. import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch, memberships
from ..attributes import Id, Text, check_chosen_id, given
from ..entities import find, shown
from ..listing import listed
from ..tree import find_domain, projects
from . import shadows
from .tables import identity_providers, remote_ids

# -- wire ----------------------------------------------------------------------------------------------------------

Minutes = t.Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
RemoteIds = list[t.Annotated[str, msgspec.Meta(max_length=255)]]


class ProviderCreate(Body):
    enabled: bool = False
    description: Text | None = None
    authorization_ttl: Minutes | None = None
    remote_ids: RemoteIds | None = None
    domain_id: Id | None = None


class ProviderUpdate(Body):
    enabled: bool | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    authorization_ttl: Minutes | None | UnsetType = UNSET
    remote_ids: RemoteIds | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("identity:create_identity_provider", ADMIN, "Create an identity provider.")
LIST = api.rule("identity:list_identity_providers", ADMIN_OR_SYSTEM_READER, "List identity providers.")
GET = api.rule("identity:get_identity_provider", ADMIN_OR_SYSTEM_READER, "Show an identity provider.")
UPDATE = api.rule("identity:update_identity_provider", ADMIN, "Update an identity provider.")
DELETE = api.rule("identity:delete_identity_provider", ADMIN, "Delete an identity provider.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-FEDERATION/identity_providers"
ONE = ALL + "/{idp_id}"


@api.op("PUT", ONE, policy=CREATE, wrap="identity_provider", status=201, errors=(404, 409))
def create(tx: Tx, request: Request, idp_id: str, body: ProviderCreate) -> dict:
    """Create an identity provider, and where it names no domain, one for it."""
    check_chosen_id(idp_id)
    if body.domain_id:
        find_domain(tx, body.domain_id)
    if tx.get(identity_providers, id=idp_id) is not None:
        raise _taken(f"entry: {idp_id}")
    domain_id = body.domain_id or _own_domain(tx, idp_id)
    tx.insert(identity_providers, id=idp_id, domain_id=domain_id, **given(body, "domain_id", "remote_ids"))
    _set_remote_ids(tx, idp_id, body.remote_ids)
    return show(tx, request, idp_id)


@api.op("GET", ALL, policy=LIST, reply="identity_providers")
def index(tx: Tx, request: Request) -> Page:
    """List identity providers."""
    page = listed(tx, request, identity_providers, lambda row: row, ("id", "enabled"))
    return page._replace(items=_views(tx, request, page.items))


@api.op("GET", ONE, policy=GET, reply="identity_provider", errors=(404,))
def show(tx: Tx, request: Request, idp_id: str) -> dict:
    """Show an identity provider."""
    return _views(tx, request, [find_provider(tx, idp_id)])[0]


@api.op("PATCH", ONE, policy=UPDATE, wrap="identity_provider", errors=(404, 409))
def update(tx: Tx, request: Request, idp_id: str, body: ProviderUpdate) -> dict:
    """Change an identity provider. Its domain stays.

    Remote ids that are given take the place of all that it had. While it is disabled, the tokens that were got through it are no
    good."""
    row = find_provider(tx, idp_id)
    values = given(body, "remote_ids")
    if not values and body.remote_ids is UNSET:
        raise BadRequest("Invalid input for field/attribute identity_provider: {} does not have enough properties")
    tx.update(identity_providers, row.id, **values)
    if body.remote_ids is not UNSET:
        _set_remote_ids(tx, row.id, body.remote_ids)
    if body.authorization_ttl is not UNSET:
        memberships.change_ttl(tx, row.id, body.authorization_ttl or 0)
    epoch.bump(tx)
    return show(tx, request, idp_id)


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, idp_id: str) -> None:
    """Delete an identity provider with its protocols, and the users that it alone vouched for. Its domain stays."""
    with shadows.without_orphans(tx, idp_id):
        tx.delete(identity_providers, id=find_provider(tx, idp_id).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_provider(tx: Tx, id: str) -> Row:
    return find(tx, identity_providers, id, "Identity Provider")


def enabled_provider(tx: Tx, id: str) -> Row:
    """A provider whose word counts. Raises NotFound, or Forbidden for one that is disabled."""
    row = find_provider(tx, id)
    if not row.enabled:
        raise Forbidden(f"Identity Provider {id} is disabled")
    return row


def _own_domain(tx: Tx, idp_id: str) -> str:
    """A domain for what a provider brings, named as its id is: no two have one name, and the provider has no other."""
    id = ids.new_hex()
    tx.insert(
        projects, id=id, name=id, domain_id=None, parent_id=None, enabled=True, is_domain=True, options={}, extra={},
        description=f"Auto generated federated domain for Identity Provider: {idp_id}",
    )  # fmt: skip
    return id


def _set_remote_ids(tx: Tx, idp_id: str, wanted: list[str] | None) -> None:
    names = wanted or []
    if len(set(names)) < len(names):
        raise BadRequest(f"Invalid input for field/attribute remote_ids: {names!r} has non-unique elements")
    tx.delete(remote_ids, provider_id=idp_id)
    for held in tx.among(remote_ids.c.remote_id, names):
        raise _taken(f"remote ID: {held.remote_id}")
    tx.insert_many(remote_ids, [{"remote_id": name, "provider_id": idp_id} for name in names])


def _taken(what: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store identity_provider - Duplicate {what}.")


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[dict]:
    names: dict[str, list[str]] = {row.id: [] for row in rows}
    for remote in tx.among(remote_ids.c.provider_id, names):
        names[remote.provider_id].append(remote.remote_id)
    return [_view(request, row, sorted(names[row.id])) for row in rows]


def _view(request: Request, row: Row, remote_ids: list[str]) -> dict:
    body = shown(
        request, "OS-FEDERATION/identity_providers", row, "domain_id", "enabled", "description", "authorization_ttl", remote_ids=remote_ids
    )
    body["links"]["protocols"] = body["links"]["self"] + "/protocols"
    return body
