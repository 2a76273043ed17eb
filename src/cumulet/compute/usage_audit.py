"""The usage audit log: which hosts audited their servers' usage in a month. Usage is counted from rows here, so none do."""

from __future__ import annotations

import datetime as dt

from ..kernel import clock
from ..kernel.db import Tx
from ..kernel.http import BadRequest, Request
from . import ADMIN, api
from .hosts import compute_hosts

LIST = api.rule("os_compute_api:os-instance-usage-audit-log:list", ADMIN, "List usage audits.")
SHOW = api.rule("os_compute_api:os-instance-usage-audit-log:show", ADMIN, "List usage audits before some time.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-instance_usage_audit_log", policy=LIST, reply="instance_usage_audit_logs")
def index(tx: Tx, request: Request) -> dict:
    """List the audits of last month."""
    return _log(tx, clock.now())


@api.op("GET", "/os-instance_usage_audit_log/{before}", policy=SHOW, reply="instance_usage_audit_log", errors=(400,))
def show(tx: Tx, request: Request, before: str) -> dict:
    """List the audits of the month before some time."""
    try:
        return _log(tx, clock.parse(before))
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid timestamp for date {before}") from None


# -- helpers -------------------------------------------------------------------------------------------------------


def _log(tx: Tx, before: dt.datetime) -> dict:
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin = (end - dt.timedelta(days=1)).replace(day=1)
    hosts = [row.host for row in tx.rows(compute_hosts, order=compute_hosts.c.number)]
    return {
        "period_beginning": str(begin), "period_ending": str(end), "num_hosts": len(hosts), "num_hosts_done": 0,
        "num_hosts_running": 0, "num_hosts_not_run": len(hosts), "hosts_not_run": hosts, "total_instances": 0,
        "total_errors": 0, "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.", "log": {},
    }  # fmt: skip
