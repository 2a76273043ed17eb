"""The limits in force: the defaults, what was set for a class, for a project, for one of its users."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Tx, table
from ..kernel.http import OverLimit

# -- tables --------------------------------------------------------------------------------------------------------

quotas = table(
    "compute_quotas",
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False, default=""),
    sa.Column("resource", sa.String(64), nullable=False),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    unique={("project_id", "user_id", "resource"): "There is a limit of {resource} already."},
)
"""What was set for a project or, where `user_id` is not empty, for one of its users."""

quota_classes = table(
    "compute_quota_classes",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("resource", sa.String(64), nullable=False),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    unique={("name", "resource"): "There is a limit of {resource} already."},
)
"""What was set for a class; the one named `default` is for every project."""

DEFAULTS = {
    "instances": 10, "cores": 20, "ram": 50 * 1024, "fixed_ips": -1, "floating_ips": -1, "metadata_items": 128,
    "injected_files": 5, "injected_file_content_bytes": 10 * 1024, "injected_file_path_bytes": 255,
    "security_groups": -1, "security_group_rules": -1, "key_pairs": 100, "server_groups": 10, "server_group_members": 10,
}  # fmt: skip
"""What a project may have where nobody set anything; -1 is no limit."""

# -- what others ask -----------------------------------------------------------------------------------------------


def class_limits(tx: Tx, name: str = "default") -> dict[str, int]:
    """A class's limits."""
    return DEFAULTS | {row.resource: row.hard_limit for row in tx.rows(quota_classes, name=name)}


def quota_limits(tx: Tx, project_id: str, user_id: str = "") -> dict[str, int]:
    """The limits of a project, or of one of its users; -1 is none."""
    limits = class_limits(tx)
    statement = sa.select(quotas).where(quotas.c.project_id == project_id, quotas.c.user_id.in_({"", user_id}))
    for row in tx.all(statement.order_by(quotas.c.user_id)):
        limits[row.resource] = row.hard_limit
    return limits


def lift_limits(tx: Tx, project_id: str) -> None:
    """Let a project have as much as there is of what servers are made of."""
    for resource in ("instances", "cores", "ram"):
        if tx.update(quotas, {"project_id": project_id, "user_id": "", "resource": resource}, hard_limit=-1) == 0:
            tx.insert(quotas, project_id=project_id, user_id="", resource=resource, hard_limit=-1)


def refuse_over(limits: t.Mapping[str, int], used: t.Mapping[str, int], wanted: t.Mapping[str, int]) -> None:
    """Raise OverLimit where what is wanted goes beyond a limit on top of what is used."""
    over = sorted(name for name, amount in wanted.items() if amount > 0 and 0 <= limits[name] < used.get(name, 0) + amount)
    if over:
        names, asked = ",".join(over), ",".join(str(wanted[name]) for name in over)
        had, most = ",".join(str(used.get(name, 0)) for name in over), ",".join(str(limits[name]) for name in over)
        raise OverLimit(f"Quota exceeded for {names}: Requested {asked}, but already used {had} of {most} {names}")
