"""Who is in which groups: those that administrators put there, and those of whom an identity provider said so at a login, for
as long as it is to count."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Tx, table

memberships = table(
    "identity_memberships",
    sa.Column("group_id", sa.String(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True, index=True),
    id=False,
)

expiring_memberships = table(
    "identity_expiring_memberships",
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("group_id", sa.String(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("provider_id", sa.String(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("verified_at", sa.DateTime, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
    id=False,
)
"""That an identity provider said, at a login, that a user is in a group."""


def ids_of_user(user_id: str) -> sa.Select:
    """The ids of the groups that a user is in now, by whomever they were put there."""
    given = sa.select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    return sa.select(given.union(sa.select(expiring_memberships.c.group_id).where(*_holding(user_id))).subquery().c.group_id)


def pairs_of(group_ids: t.Collection[str]) -> sa.Select:
    """`group_id` and `user_id` of who is in some groups now."""
    given, said = memberships.c, expiring_memberships.c
    pairs = sa.select(given.group_id, given.user_id).where(given.group_id.in_(group_ids)).union(
        sa.select(said.group_id, said.user_id).where(said.group_id.in_(group_ids), said.expires_at > clock.now())
    ).subquery()  # fmt: skip
    return sa.select(pairs).order_by(pairs.c.user_id)


def next_end(tx: Tx, user_ids: t.Collection[str]) -> dt.datetime | None:
    """When the first of the memberships that end by themselves will, of those of these users."""
    said = expiring_memberships.c
    return tx.scalar(sa.select(sa.func.min(said.expires_at)).where(said.user_id.in_(user_ids), said.expires_at > clock.now()))


def change_ttl(tx: Tx, provider_id: str, minutes: int) -> None:
    """Have the memberships that a provider told of end so long after it did."""
    for row in tx.rows(expiring_memberships, provider_id=provider_id):
        key = {"user_id": row.user_id, "group_id": row.group_id, "provider_id": provider_id}
        tx.update(expiring_memberships, key, expires_at=row.verified_at + dt.timedelta(minutes=minutes))


def tell(tx: Tx, user_id: str, provider_id: str, group_ids: t.Collection[str], minutes: int) -> bool:
    """Keep that a provider says now that a user is in these groups, and in no others; whether it says something new."""
    now, of = clock.now(), {"user_id": user_id, "provider_id": provider_id}
    before = {row.group_id for row in tx.rows(expiring_memberships, **of)}
    tx.delete(expiring_memberships, **of)
    rows = [of | {"group_id": id, "verified_at": now, "expires_at": now + dt.timedelta(minutes=minutes)} for id in group_ids]
    tx.insert_many(expiring_memberships, rows)
    return before != set(group_ids)


def ends(tx: Tx, user_id: str) -> dict[str, dt.datetime]:
    """When a user's memberships end, by group; those that an administrator gave do not."""
    given = sa.select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    said = sa.select(expiring_memberships).where(*_holding(user_id), expiring_memberships.c.group_id.not_in(given))
    return {row.group_id: row.expires_at for row in tx.all(said.order_by(expiring_memberships.c.expires_at))}


def _holding(user_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return expiring_memberships.c.user_id == user_id, expiring_memberships.c.expires_at > clock.now()
