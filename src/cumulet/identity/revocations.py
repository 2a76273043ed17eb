"""Revoked tokens, by their audit ids. What else ends a token (a new password, a role taken away, a project disabled)
is seen from the rows themselves."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Tx, table
from . import epoch

revoked_tokens = table(
    "identity_revoked_tokens",
    sa.Column("audit_id", sa.String(64), primary_key=True),
    sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
    id=False,
)


def revoke(tx: Tx, audit_id: str, expires_at: dt.datetime) -> None:
    """End a token. It is remembered until it would have ended by itself, and validated late."""
    tx.execute(revoked_tokens.delete().where(revoked_tokens.c.expires_at < clock.now() - dt.timedelta(days=2)))
    if tx.get(revoked_tokens, audit_id=audit_id) is None:
        tx.insert(revoked_tokens, audit_id=audit_id, expires_at=expires_at)
    epoch.bump(tx)


def is_revoked(tx: Tx, audit: list[str]) -> bool:
    return tx.scalar(sa.select(revoked_tokens.c.audit_id).where(revoked_tokens.c.audit_id == audit[0])) is not None
