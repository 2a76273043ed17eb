"""What a project may have, and has, as clients of the older kind ask for it."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import Query, Request
from . import READER, api
from .quota import limits, usage

SHOW = api.rule("limits_extension:used_limits", READER, "Show limits and what is used of them.")

NAMES = {"volumes": ("maxTotalVolumes", "totalVolumesUsed"), "gigabytes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
         "snapshots": ("maxTotalSnapshots", "totalSnapshotsUsed"), "backups": ("maxTotalBackups", "totalBackupsUsed"),
         "backup_gigabytes": ("maxTotalBackupGigabytes", "totalBackupGigabytesUsed")}  # fmt: skip


class LimitsQuery(Query):
    project_id: str | None = None
    tenant_id: str | None = None


@api.op("GET", "/limits", policy=SHOW, reply="limits")
def show(tx: Tx, request: Request, query: LimitsQuery) -> dict:
    """Show what the project may have, and has; an administrator names another project from 3.39 on."""
    project = str(request.context.project_id)
    if request.version >= (3, 39) and request.context.is_admin:
        project = query.project_id or query.tenant_id or project
    allowed, used = limits(tx, project), usage(tx, project)
    absolute = {}
    for resource, (most, now) in NAMES.items():
        absolute |= {most: allowed[resource], now: used[resource]}
    return {"rate": [], "absolute": absolute}
