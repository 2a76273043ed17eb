"""OAuth 1.0a access tokens: with one, a consumer gets tokens for a project, as the user who granted it some of their roles."""

from __future__ import annotations

import datetime as dt
import hmac

import sqlalchemy as sa
from starlette.responses import Response

from ..kernel import clock, ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, NotFound, Unauthorized
from ..kernel.http import Page, Request
from . import ADMIN, PROJECT_ALONE, api, epoch
from . import roles as roles_
from .delegation import refuse_for_oauth
from .entities import missing, shown
from .listing import listed
from .oauth_consumers import consumers
from .oauth_request_tokens import answer, find_request_token, request_tokens
from .oauth_signatures import check, check_verifier, signed, told
from .roles import roles
from .times import iso

LASTS = dt.timedelta(seconds=86400)

# -- table ---------------------------------------------------------------------------------------------------------

access_tokens = table(
    "identity_oauth_access_tokens",
    sa.Column("consumer_id", sa.String(64), sa.ForeignKey("identity_oauth_consumers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("authorizing_user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("role_ids", sa.JSON, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
)

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_access_token", ADMIN, "Show a user's OAuth access token.", scopes=PROJECT_ALONE)
LIST = api.rule("identity:list_access_tokens", ADMIN, "List a user's OAuth access tokens.", scopes=PROJECT_ALONE)
DELETE = api.rule("identity:delete_access_token", ADMIN, "Delete a user's OAuth access token.", scopes=PROJECT_ALONE)
GET_ROLE = api.rule("identity:get_access_token_role", ADMIN, "Show a role of an OAuth access token.", scopes=PROJECT_ALONE)
LIST_ROLES = api.rule("identity:list_access_token_roles", ADMIN, "List the roles of an OAuth access token.", scopes=PROJECT_ALONE)

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/users/{user_id}/OS-OAUTH1/access_tokens"
ONE = ALL + "/{access_token_id}"


@api.op("POST", "/OS-OAUTH1/access_token", policy=None, status=201, errors=(400, 401, 404))
def create(tx: Tx, request: Request) -> Response:
    """Get, as a consumer, an access token for a request token that a user granted, with the verifier that they told."""
    oauth = told(request, "oauth_consumer_key", "oauth_token", "oauth_verifier")
    asked = find_request_token(tx, oauth["oauth_token"])
    check(oauth)
    check_verifier(oauth["oauth_verifier"])
    consumer = tx.get(consumers, id=oauth["oauth_consumer_key"])
    right = consumer is not None and consumer.id == asked.consumer_id and signed(request, oauth, consumer.secret, asked.secret)
    told_right = hmac.compare_digest((asked.verifier or "").encode(), oauth["oauth_verifier"].encode())
    if not right or asked.user_id is None or not told_right:
        raise Unauthorized("The request you have made requires authentication.")
    tx.delete(request_tokens, id=asked.id)
    row = tx.insert(
        access_tokens, id=ids.new_hex(), consumer_id=asked.consumer_id, project_id=asked.project_id, authorizing_user_id=asked.user_id,
        secret=ids.new_hex(), role_ids=asked.role_ids, expires_at=clock.now() + LASTS,
    )  # fmt: skip
    return answer(row)


@api.op("GET", ALL, policy=LIST, reply="access_tokens")
def index(tx: Tx, request: Request, user_id: str) -> Page:
    """List the access tokens that a user granted."""
    refuse_for_oauth(request, MANAGE)
    return listed(tx, request, access_tokens, lambda row: _view(request, row), (), authorizing_user_id=user_id)


@api.op("GET", ONE, policy=GET, reply="access_token", errors=(404,))
def show(tx: Tx, request: Request, user_id: str, access_token_id: str) -> dict:
    """Show an access token, without its secret."""
    refuse_for_oauth(request, MANAGE)
    return _view(request, _find(tx, user_id, access_token_id))


@api.op("DELETE", ONE, policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, user_id: str, access_token_id: str) -> None:
    """Take back what a user granted; the tokens got with it end."""
    refuse_for_oauth(request, MANAGE)
    tx.delete(access_tokens, id=_find(tx, user_id, access_token_id).id)
    epoch.bump(tx)


@api.op("GET", ONE + "/roles", policy=LIST_ROLES, reply="roles", errors=(404,))
def index_roles(tx: Tx, request: Request, user_id: str, access_token_id: str) -> Page:
    """List the roles that a user granted."""
    granted = roles.c.id.in_(_find(tx, user_id, access_token_id).role_ids)
    return Page([roles_.view(request, row) for row in tx.all(sa.select(roles).where(granted).order_by(roles.c.name))])


@api.op("GET", ONE + "/roles/{role_id}", policy=GET_ROLE, reply="role", errors=(404,))
def show_role(tx: Tx, request: Request, user_id: str, access_token_id: str, role_id: str) -> dict:
    """Show a role that a user granted."""
    if role_id not in _find(tx, user_id, access_token_id).role_ids:
        raise missing("role", role_id)
    return roles_.view(request, roles_.find_role(tx, role_id))


# -- helpers -------------------------------------------------------------------------------------------------------

MANAGE = "manage OAuth access tokens"


def of_request(tx: Tx, request: Request) -> Row | None:
    """The access token with which a request for a token is signed, or none where it is not rightly so: the address is
    signed without its query. Raises BadRequest for a request without a signature, Unauthorized for one in another form,
    NotFound for an unknown token."""
    oauth = told(request, "oauth_token")
    row = find_access_token(tx, oauth["oauth_token"])
    try:
        check(oauth)
    except BadRequest as error:
        raise Unauthorized(error.message) from None
    consumer = tx.one(consumers, id=row.consumer_id)
    right = consumer.id == oauth["oauth_consumer_key"] and signed(request, oauth, consumer.secret, row.secret, query=False)
    return row if right and row.expires_at >= clock.now() else None


def find_access_token(tx: Tx, id: str, **where: str) -> Row:
    row = tx.get(access_tokens, id=id, **where)
    if row is None:
        raise NotFound("Access token not found")
    return row


def _find(tx: Tx, user_id: str, id: str) -> Row:
    return find_access_token(tx, id, authorizing_user_id=user_id)


def _view(request: Request, row: Row) -> dict:
    collection = f"users/{row.authorizing_user_id}/OS-OAUTH1/access_tokens"
    body = shown(request, collection, row, "consumer_id", "project_id", "authorizing_user_id", expires_at=iso(row.expires_at))
    body["links"]["roles"] = f"{body['links']['self']}/roles"
    return body
