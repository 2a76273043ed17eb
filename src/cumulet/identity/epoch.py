"""The number of changes that may have made a token's meaning stale: what it stands for, or the catalog that it shows. What was
worked out from a token holds as long as this number does, in every process: it is read in the transaction that relies on it."""

from __future__ import annotations

import math

import sqlalchemy as sa

from ..kernel.db import Tx, table

identity_epoch = table("identity_epoch", sa.Column("value", sa.BigInteger, nullable=False))
_ROW = "tokens"
_READ = sa.select(identity_epoch.c.value).where(identity_epoch.c.id == _ROW)


def current(tx: Tx) -> float:
    """The number now. A transaction sees one moment, so it is read once in each; after a bump it is NaN, which equals nothing:
    what is worked out from there on is not to be relied on by others, for the transaction may yet come to nothing."""
    found = tx.seen.get(_ROW)
    if found is None:
        found = tx.seen[_ROW] = tx.scalar(_READ) or 0
    return found


def bump(tx: Tx) -> None:
    """Everything worked out from tokens before this transaction's end must be worked out again."""
    tx.seen[_ROW] = math.nan
    if not tx.update(identity_epoch, _ROW, value=identity_epoch.c.value + 1):
        tx.insert(identity_epoch, id=_ROW, value=1)
