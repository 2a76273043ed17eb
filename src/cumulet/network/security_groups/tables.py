"""The rows of security groups and of their rules, and the default group that every project has."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Once, Row, Tx, table
from .. import quotas
from ..resource import Clause, find, own
from ..sharing import given_to
from ..tables import standard

security_groups = table(
    "security_groups",
    *standard(),
    sa.Column("stateful", sa.Boolean, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    once=(Once(("project_id",), ("Default security group already exists.", "SecurityGroupDefaultAlreadyExists"), {"is_default": True}),),
)


def _group() -> sa.ForeignKey:
    return sa.ForeignKey("security_groups.id", ondelete="CASCADE")


security_group_rules = table(
    "security_group_rules",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("description", sa.String(255), nullable=False),
    sa.Column("revision_number", sa.Integer, nullable=False, default=0),
    sa.Column("security_group_id", sa.String(64), _group(), nullable=False, index=True),
    sa.Column("remote_group_id", sa.String(64), _group(), index=True),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("ethertype", sa.String(4), nullable=False),
    sa.Column("protocol", sa.String(40)),
    sa.Column("port_range_min", sa.Integer),
    sa.Column("port_range_max", sa.Integer),
    sa.Column("remote_ip_prefix", sa.String(64)),
)
"""`protocol` is a name or a number, as it was given; null in any column is any. A rule goes with either of its groups."""

quotas.counted("security_group", security_groups, 10)
quotas.counted("security_group_rule", security_group_rules, 100)

DEFAULT = "default"
KIND = "security_group"


def visible(context: Context) -> Clause:
    """Which groups the caller sees: their project's, and those shared with it."""
    return sa.or_(own(context, security_groups), security_groups.c.id.in_(given_to(KIND, context.project_id)))


def find_security_group(tx: Tx, context: Context, id: str) -> Row:
    """The group's row. Raises NotFound where there is none that the caller may see."""
    return find(tx, security_groups, id, "Security group", visible(context))


def default_security_group(tx: Tx, project_id: str) -> Row:
    """The group of servers that name none. It is made when it is first needed: everything may leave, and the group's
    own members may come in."""
    found = tx.get(security_groups, project_id=project_id, is_default=True)
    if found is not None:
        return found
    made = add_group(tx, project_id=project_id, name=DEFAULT, description="Default security group", is_default=True)
    tx.insert_many(security_group_rules, [
        _rule(made, direction="ingress", ethertype=ethertype, remote_group_id=made.id) for ethertype in ("IPv4", "IPv6")
    ])  # fmt: skip
    return made


def add_group(tx: Tx, **values: t.Any) -> Row:
    """A group out of which everything may go."""
    made = tx.insert(security_groups, **{"name": "", "description": "", "stateful": True, "is_default": False} | values)
    tx.insert_many(security_group_rules, [_rule(made, direction="egress", ethertype=e) for e in ("IPv4", "IPv6")])
    return made


def _rule(group: Row, **values: t.Any) -> dict[str, t.Any]:
    return {"security_group_id": group.id, "project_id": group.project_id, "description": "", "remote_group_id": None} | values
