"""Sharing: who, beside its own project, sees and uses a thing. Each share is a row: one thing, one action, one project or all.

That a network is shared or a pool is for everybody is nowhere else; `shared` of a view is what these rows say to its reader.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from .resource import Clause, Filter, typed
from .routers.rows import GATEWAY, routers
from .tables import port_security_groups, ports, rbac_policies, subnetpools, subnets

SHARED, EXTERNAL = "access_as_shared", "access_as_external"
ALL = "*"
"""The target that is every project."""
_SHARED = sa.Column("shared", sa.Boolean)


def given_to(kind: str, project_id: str | None, *actions: str) -> sa.Select:
    """The ids of the things of a kind that a project may reach by these actions (by any, without)."""
    p = rbac_policies.c
    reached = sa.select(p.object_id).where(p.object_type == kind, p.target_project.in_([ALL, project_id or ALL]))
    return reached.where(p.action.in_(actions)) if actions else reached


def shared_with(tx: Tx, kind: str, ids: t.Iterable[str], project_id: str | None) -> set[str]:
    """Which of these things are shared with a project, be it by name or with all."""
    here = given_to(kind, project_id, SHARED).where(rbac_policies.c.object_id.in_(list(ids)))
    return {row.object_id for row in tx.all(here)}


def by_shared(column: sa.Column, kind: str, project_id: str | None) -> Filter:
    """A filter for whether the thing whose id is in a column is shared with a project. It raises BadRequest."""

    def clause(values: list[str]) -> Clause:
        within = column.in_(given_to(kind, project_id, SHARED))
        return sa.or_(*(within if typed(_SHARED, "shared", value) else ~within for value in values))

    return clause


def share(tx: Tx, kind: str, row: Row, action: str = SHARED) -> None:
    """Let every project use a thing. That it may already is no error."""
    values = {"object_type": kind, "object_id": row.id, "action": action, "target_project": ALL}
    if tx.get(rbac_policies, **values) is None:
        tx.insert(rbac_policies, **values, project_id=row.project_id)


# -- who needs it --------------------------------------------------------------------------------------------------

_GATEWAYS = sa.select(routers.c.project_id).join(ports, ports.c.device_id == routers.c.id).where(ports.c.device_owner == GATEWAY)
_MEMBERS = sa.select(ports.c.project_id).join(port_security_groups, port_security_groups.c.port_id == ports.c.id)
USERS: dict[tuple[str, str], tuple[sa.Select, sa.Column]] = {
    ("network", SHARED): (sa.select(ports.c.project_id), ports.c.network_id),
    ("network", EXTERNAL): (_GATEWAYS, ports.c.network_id),
    ("security_group", SHARED): (_MEMBERS, port_security_groups.c.security_group_id),
    ("subnetpool", SHARED): (sa.select(subnets.c.project_id), subnets.c.subnetpool_id),
    ("address_scope", SHARED): (sa.select(subnetpools.c.project_id), subnetpools.c.address_scope_id),
}
"""The projects that use a thing by an action, and the column that names the thing."""


def losers(tx: Tx, kind: str, action: str, thing: Row, target: str, instead: str | None = None) -> set[str]:
    """The projects that use a thing and could no more, were the share with `target` gone, or with `instead` in its place."""
    others = sa.select(rbac_policies.c.target_project).where(
        rbac_policies.c.object_id == thing.id, rbac_policies.c.action == action, rbac_policies.c.target_project != target
    )
    kept = {row.target_project for row in tx.all(others)} | {instead, thing.project_id, ""}
    if ALL in kept:
        return set()
    users, column = USERS[kind, action]
    using = users.where(column == thing.id).distinct()
    return {row.project_id for row in tx.all(using) if target in (ALL, row.project_id)} - kept
