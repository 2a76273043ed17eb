"""What may be used once: the state of a browser's login, the id of an assertion. It is remembered until it would be too old anyway."""

from __future__ import annotations

import datetime as dt
import hashlib

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Tx, table
from ...kernel.errors import Unauthorized

spent = table("identity_spent", sa.Column("expires_at", sa.DateTime, nullable=False, index=True))
"""The row's id is made of what was used, and of what kind it is."""


def spend(tx: Tx, kind: str, what: str, until: dt.datetime) -> None:
    """Use something up. until: when it would be too old to be used. Raises Unauthorized where it was used before."""
    tx.execute(spent.delete().where(spent.c.expires_at < clock.now()))
    id = hashlib.sha256(f"{kind}\n{what}".encode()).hexdigest()
    if tx.get(spent, id=id) is not None:
        raise Unauthorized(f"This {kind} was used before.")
    tx.insert(spent, id=id, expires_at=until)
