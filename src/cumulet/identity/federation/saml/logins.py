"""Who proved who they are with SAML: what was said of them, kept until they ask for their token, which is at once."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import typing as t

import sqlalchemy as sa

from ....kernel import clock
from ....kernel.db import Tx, table
from ..spent import spend
from .providers import SPEAKS_AS

KEPT = dt.timedelta(minutes=5)

# -- table ---------------------------------------------------------------------------------------------------------

saml_logins = table(
    "identity_saml_logins",
    sa.Column("issuer", sa.String(1024), nullable=False),
    sa.Column("said", sa.JSON, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False, index=True),
)
"""`id`: a hash of the secret that whoever brought the assertion has in a cookie."""

# -- keeping and taking --------------------------------------------------------------------------------------------


def keep(tx: Tx, said: t.Any) -> str:
    """The secret with which what an assertion says can be taken. Raises Unauthorized for an assertion that was used before."""
    now = clock.now()
    spend(tx, "assertion", f"{said.issuer}\n{said.id}", said.ends)
    tx.execute(saml_logins.delete().where(saml_logins.c.expires_at < now))
    secret = secrets.token_urlsafe(32)
    tx.insert(saml_logins, id=_hash(secret), issuer=said.issuer, said=_variables(said), expires_at=now + KEPT)
    return secret


def take(tx: Tx, secret: str, issuer: str) -> dict[str, list[str]] | None:
    """What the provider of this name said of who has the secret: once, and for a few minutes. None where it said nothing."""
    row = tx.get(saml_logins, id=_hash(secret))
    if row is None or row.issuer != issuer or row.expires_at < clock.now():
        return None
    return row.said if tx.delete(saml_logins, id=row.id) else None


def _variables(said: t.Any) -> dict[str, list[str]]:
    """What an assertion says, under the names that a web server's module has for it; no attribute passes for these."""
    own = {"REMOTE_USER": [said.name_id], SPEAKS_AS: [said.issuer]}
    return said.attributes | {name: values for name, values in own.items() if values[0]}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
