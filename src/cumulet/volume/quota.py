"""What a project may have of block storage, counted from the rows."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.http import OverLimit
from .tables import backups, groups, quota_classes, quotas, snapshots, types, volumes

DEFAULTS = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "per_volume_gigabytes": -1,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
}
"""-1 is no limit."""


class QuotaReached(OverLimit):
    status = 413


def defaults(tx: Tx) -> dict[str, int]:
    """The limits of a project that has none of its own; those of each volume type are named `volumes_TYPE` and so on."""
    of_types = {f"{kind}_{row.name}": -1 for row in tx.rows(types) for kind in ("volumes", "gigabytes", "snapshots")}
    return DEFAULTS | of_types | {row.resource: row.hard_limit for row in tx.rows(quota_classes)}


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """The limits of a project: the defaults, and what was set instead."""
    return defaults(tx) | {row.resource: row.hard_limit for row in tx.rows(quotas, project_id=project_id)}


def usage(tx: Tx, project_id: str) -> dict[str, int]:
    """What a project has, by resource; snapshots count towards gigabytes too."""
    used = dict.fromkeys(DEFAULTS, 0)
    grown = sa.func.coalesce(volumes.c.growing_to, volumes.c.size)
    held = sa.select(volumes.c.type_id, sa.func.count(), sa.func.sum(grown)).where(volumes.c.project_id == project_id)
    taken = (
        sa.select(volumes.c.type_id, sa.func.count(), sa.func.sum(snapshots.c.size))
        .join_from(snapshots, volumes).where(snapshots.c.project_id == project_id)
    )  # fmt: skip
    names = {row.id: row.name for row in tx.rows(types)}
    for kind, statement in (("volumes", held), ("snapshots", taken)):
        for type_id, count, size in tx.all(statement.group_by(volumes.c.type_id)):
            for suffix in ("", f"_{names[type_id]}") if type_id in names else ("",):
                used[kind + suffix] = used.get(kind + suffix, 0) + count
                used["gigabytes" + suffix] = used.get("gigabytes" + suffix, 0) + int(size)
    count, size = _count(tx, project_id, backups, backups.c.size)
    return used | {"backups": count, "backup_gigabytes": size, "groups": _count(tx, project_id, groups, sa.literal(0))[0]}


def check_quota(tx: Tx, project_id: str | None, type_name: str | None = None, *, only: str | None = None, **wanted: int) -> None:
    """Raise QuotaReached where a project may not have so much more: of all and of a volume type, or `only` of a type."""
    allowed, used = limits(tx, str(project_id)), usage(tx, str(project_id))
    suffixes = [f"_{only}"] if only else ["", *([f"_{type_name}"] if type_name else [])]
    for name, more in ((name + suffix, more) for name, more in wanted.items() for suffix in suffixes):
        limit = allowed.get(name, -1)
        if 0 <= limit < used.get(name, 0) + more:
            raise QuotaReached(_reached(name, limit, used.get(name, 0), more))


def check_size(tx: Tx, project_id: str | None, size: int) -> None:
    """Raise QuotaReached where one volume may not be so big."""
    most = limits(tx, str(project_id))["per_volume_gigabytes"]
    if 0 <= most < size:
        raise QuotaReached(f"VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit {most}G.")


def _count(tx: Tx, project_id: str, table: sa.Table, size: t.Any) -> tuple[int, int]:
    found = tx.first(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size), 0)).where(table.c.project_id == project_id))
    assert found is not None
    return found[0], int(found[1])


def _reached(name: str, limit: int, used: int, more: int) -> str:
    kind = name.partition("_")[0]
    if name == "backup_gigabytes":
        return (f"VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested {more}G, "
                f"quota is {limit}G and {used}G has been consumed.")  # fmt: skip
    if kind == "gigabytes":
        return (f"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. Requested {more}G, "
                f"quota is {limit}G and {used}G has been consumed.")  # fmt: skip
    if kind == "volumes":
        return f"VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{name}'."
    error = {"snapshots": "SnapshotLimitExceeded", "backups": "BackupLimitExceeded", "groups": "GroupLimitExceeded"}[kind]
    return f"{error}: Maximum number of {kind} allowed ({limit}) exceeded"
