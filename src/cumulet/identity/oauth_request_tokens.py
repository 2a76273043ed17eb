"""OAuth 1.0a request tokens: with one, a consumer asks to act on a project; a user of that project grants it some roles."""

from __future__ import annotations

import datetime as dt
import secrets

import sqlalchemy as sa
from starlette.responses import Response

from ..kernel import clock, ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, NotFound, Unauthorized
from ..kernel.http import Request
from . import ADMIN, PROJECT_ALONE, api, assignments
from .application_credentials import RoleReference, referenced
from .attributes import expecting
from .delegation import refuse_for_oauth
from .oauth_consumers import find_consumer
from .oauth_signatures import VERIFIER, check, signed, told
from .times import iso
from .tree import find_project

LASTS = dt.timedelta(seconds=28800)
"""How long a user has to grant what is asked for."""
"""What a verifier, which people may have to type, is made of: nothing that looks like another."""

# -- table ---------------------------------------------------------------------------------------------------------

request_tokens = table(
    "identity_oauth_request_tokens",
    sa.Column("consumer_id", sa.String(64), sa.ForeignKey("identity_oauth_consumers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE")),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(8)),
    sa.Column("role_ids", sa.JSON, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
)
"""`user_id` is who granted it, and `verifier` what they tell the consumer for it."""

# -- policy --------------------------------------------------------------------------------------------------------

AUTHORIZE = api.rule("identity:authorize_request_token", ADMIN, "Grant an OAuth consumer what it asks for.", scopes=PROJECT_ALONE)

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/OS-OAUTH1/request_token", policy=None, status=201, errors=(400, 401, 404))
def create(tx: Tx, request: Request) -> Response:
    """Ask, as a consumer, for a request token for the project in the header Requested-Project-Id."""
    oauth = told(request, "oauth_consumer_key")
    project_id = request.headers.get("requested-project-id")
    if not project_id:
        raise expecting("Requested-Project-Id", "request")
    find_project(tx, project_id)
    consumer = find_consumer(tx, oauth["oauth_consumer_key"])
    check(oauth, "oauth_callback")
    if not signed(request, oauth, consumer.secret):
        raise Unauthorized("The request you have made requires authentication.")
    now = clock.now()
    tx.execute(request_tokens.delete().where(request_tokens.c.expires_at < now))
    row = tx.insert(
        request_tokens, id=ids.new_hex(), consumer_id=consumer.id, project_id=project_id, user_id=None, secret=ids.new_hex(),
        verifier=None, role_ids=[], expires_at=now + LASTS,
    )  # fmt: skip
    return answer(row)


@api.op("PUT", "/OS-OAUTH1/authorize/{request_token_id}", policy=AUTHORIZE, wrap="roles", reply="token", errors=(401, 404))
def authorize(tx: Tx, request: Request, request_token_id: str, body: list[RoleReference]) -> dict:
    """Grant a consumer roles of one's own on the project that it asks for; what is answered is to be told to it."""
    refuse_for_oauth(request, "authorize a request token")
    row = find_request_token(tx, request_token_id)
    if any((role.id is None) == (role.name is None) for role in body):
        raise BadRequest("Invalid input for field/attribute roles: each is named by its id or by its name")
    granted = {role.id for role in body if role.id} | referenced(tx, [role for role in body if not role.id])
    user_id = str(request.context.user_id)
    if granted - {role.id for role in assignments.roles_on(tx, user_id, "project", row.project_id)}:
        raise Unauthorized("authorizing user does not have role required")
    verifier = "".join(secrets.choice(VERIFIER) for _ in range(8))
    tx.update(request_tokens, row.id, user_id=user_id, verifier=verifier, role_ids=sorted(granted))
    return {"oauth_verifier": verifier}


# -- helpers -------------------------------------------------------------------------------------------------------


def find_request_token(tx: Tx, id: str) -> Row:
    """Raises NotFound, and Unauthorized where it has expired."""
    row = tx.get(request_tokens, id=id)
    if row is None:
        raise NotFound("Request token not found")
    if row.expires_at < clock.now():
        raise Unauthorized("Request token is expired")
    return row


def answer(row: Row) -> Response:
    """A new token of either kind, as a consumer is told of it."""
    text = f"oauth_token={row.id}&oauth_token_secret={row.secret}&oauth_expires_at={iso(row.expires_at)}"
    return Response(text, 201, media_type="application/x-www-form-urlencoded")
