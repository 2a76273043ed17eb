"""The number of changes that may have made a token's meaning stale. What was worked out from a token holds as long
as this number does, in every process: it is read in the transaction that relies on it."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Tx, table

identity_epoch = table("identity_epoch", sa.Column("value", sa.BigInteger, nullable=False))
_ROW = "tokens"
_READ = sa.select(identity_epoch.c.value).where(identity_epoch.c.id == _ROW)


def current(tx: Tx) -> int:
    return tx.scalar(_READ) or 0


def bump(tx: Tx) -> None:
    """Everything worked out from tokens before this transaction's end must be worked out again."""
    if not tx.update(identity_epoch, _ROW, value=identity_epoch.c.value + 1):
        tx.insert(identity_epoch, id=_ROW, value=1)
