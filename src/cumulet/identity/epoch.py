"""The numbers of changes that may have made something stale that was worked out before: what a token stands for, or the catalog. What
was worked out holds as long as the number does, in every process: it is read for each transaction that relies on it (ADR 0025)."""

from __future__ import annotations

import math
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table

identity_epoch = table("identity_epoch", sa.Column("value", sa.BigInteger, nullable=False))
TOKENS, CATALOG = "tokens", "catalog"
_READ = sa.select(identity_epoch.c.id, identity_epoch.c.value)
_SEEN = "identity_epoch"
NUMBERS = {
    of: sa.select(identity_epoch.c.value).where(identity_epoch.c.id == of).scalar_subquery().label(f"epoch_of_{of}")
    for of in (TOKENS, CATALOG)
}
"""The numbers now, as parts of statements whose rows are for `told`."""


def current(tx: Tx, of: str = TOKENS) -> float:
    """The number now. They are read once for each transaction, and not later than what relies on them; after a bump it is NaN, which
    equals nothing: what is worked out from there on is not to be relied on by others, for the transaction may yet come to nothing."""
    found = tx.seen.get(_SEEN)
    if found is None:
        found = tx.seen[_SEEN] = {row.id: row.value for row in tx.ahead(_READ)}
    return found.get(of, 0)


Value = t.TypeVar("Value")


def told(tx: Tx, row: Row) -> None:
    """The transaction has read the numbers, with something else."""
    tx.seen.setdefault(_SEEN, {of: getattr(row, number.name) or 0 for of, number in NUMBERS.items()})


class Lasting(t.Generic[Value]):
    """What is worked out once, and holds as long as the number of changes does."""

    def __init__(self, of: str = TOKENS):
        self._of = of
        self._kept: tuple[float, Value] | None = None

    def get(self, tx: Tx, work_out: t.Callable[[Tx], Value]) -> Value:
        at, kept = current(tx, self._of), self._kept
        if kept is None or kept[0] != at:
            kept = self._kept = at, work_out(tx)
        return kept[1]


def bump(tx: Tx, of: str = TOKENS) -> None:
    """Everything worked out before this transaction's end must be worked out again."""
    current(tx, of)
    tx.seen[_SEEN][of] = math.nan
    if not tx.update(identity_epoch, of, value=identity_epoch.c.value + 1):
        tx.insert(identity_epoch, id=of, value=1)
