"""Revoked tokens, by their audit ids. What else ends a token (a new password, a role taken away, a project disabled)
is seen from the rows themselves."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http import Request
from . import api, epoch, times
from .listing import asked
from .users import users

# -- table ---------------------------------------------------------------------------------------------------------

revoked_tokens = table(
    "identity_revoked_tokens",
    sa.Column("audit_id", sa.String(64), primary_key=True),
    sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
    id=False,
)
KEPT = dt.timedelta(days=2)
"""How long past its end a token may be validated, and so its revocation has to be known."""

# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("identity:list_revoke_events", "rule:service_or_admin", "List what ended tokens.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/OS-REVOKE/events", policy=LIST)
def index(tx: Tx, request: Request) -> dict:
    """List what ended tokens lately, the oldest first.

    It is each token that was revoked, and each user all of whose tokens ended when they were disabled or had a new
    password. `since` leaves out what is not later than that time. Tokens that ended otherwise are told by validating
    them alone."""
    since = _since(request)
    tokens = sa.select(revoked_tokens.c.audit_id, revoked_tokens.c.created_at).where(revoked_tokens.c.created_at > since)
    changed = sa.select(users.c.id, users.c.valid_from).where(users.c.valid_from > users.c.created_at, users.c.valid_from > since)
    found = [(row.created_at, {"audit_id": row.audit_id}) for row in tx.all(tokens)]
    found += [(row.valid_from, {"user_id": row.id}) for row in tx.all(changed)]
    events = [what | dict.fromkeys(("issued_before", "revoked_at"), times.iso(at)) for at, what in sorted(found, key=lambda one: one[0])]
    return {"events": events, "links": {"next": None, "self": f"{request.base}/v3/OS-REVOKE/events", "previous": None}}


# -- helpers -------------------------------------------------------------------------------------------------------


def revoke(tx: Tx, audit_id: str, expires_at: dt.datetime) -> None:
    """End a token. It is remembered until it would have ended by itself, and validated late."""
    tx.execute(revoked_tokens.delete().where(revoked_tokens.c.expires_at < clock.now() - KEPT))
    if tx.get(revoked_tokens, audit_id=audit_id) is None:
        tx.insert(revoked_tokens, audit_id=audit_id, expires_at=expires_at)
    epoch.bump(tx)


AUDIT: sa.BindParameter[str] = sa.bindparam("audit_id", type_=sa.String)
REVOKED = sa.exists().where(revoked_tokens.c.audit_id == AUDIT)
"""Whether a token was revoked by itself, as a part of statements."""


def _since(request: Request) -> dt.datetime:
    """From when on events are wanted: since no token that is good can be older, or since the request says."""
    oldest = clock.now() - KEPT - dt.timedelta(hours=request.runtime.config.token_hours)
    text = asked(request, "since")
    if text is None:
        return oldest
    try:
        return max(oldest, clock.parse(text))
    except (ValueError, OverflowError):
        raise BadRequest(f"invalidate date format {text}") from None
