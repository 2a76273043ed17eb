"""Who is in which groups: those that administrators put there, and those of whom an identity provider said so at a login, for
as long as it is to count."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import MANY, Row, Tx, table

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


USER: sa.BindParameter[str] = sa.bindparam("user_id", type_=sa.String)
NOW: sa.BindParameter[dt.datetime] = sa.bindparam("now", type_=sa.DateTime)
_given, _said = memberships.c, expiring_memberships.c
_given_to_user = sa.select(_given.group_id).where(_given.user_id == USER)
_said_of_user = sa.select(_said.group_id).where(_said.user_id == USER, _said.expires_at > NOW)

OF_USER = sa.select(_given_to_user.union(_said_of_user).subquery().c.group_id)
"""The ids of the groups that a user is in now, by whomever they were put there. It is executed with `holding`, as what follows."""
_ENDS = (
    sa.select(expiring_memberships)
    .where(_said.user_id == USER, _said.expires_at > NOW, _said.group_id.not_in(_given_to_user))
    .order_by(_said.expires_at)
)
_pairs = sa.select(_given.group_id, _given.user_id).where(_given.group_id.in_(MANY)).union(
    sa.select(_said.group_id, _said.user_id).where(_said.group_id.in_(MANY), _said.expires_at > NOW)
).subquery()  # fmt: skip
_PAIRS = sa.select(_pairs).order_by(_pairs.c.user_id)


def holding(user_id: str) -> dict[str, t.Any]:
    """The values by which statements ask for a user's groups."""
    return {USER.key: user_id, NOW.key: clock.now()}


def pairs_of(tx: Tx, group_ids: t.Collection[str]) -> list[Row]:
    """`group_id` and `user_id` of who is in some groups now, of each group by user."""
    return tx.many(_PAIRS, group_ids, {NOW.key: clock.now()})


def next_end(user_id: sa.Column[str]) -> sa.ScalarSelect:
    """When the first of a user's memberships that end by themselves will, as a part of statements; null where none does."""
    return sa.select(sa.func.min(_said.expires_at)).where(_said.user_id == user_id, _said.expires_at > NOW).scalar_subquery()


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
    return {row.group_id: row.expires_at for row in tx.all(_ENDS, holding(user_id))}
