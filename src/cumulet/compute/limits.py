"""Limits: a project's quotas and what it uses of them, in the words that clients of old know."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import Query, Request
from . import ADMIN, ANY, api
from .quota_limits import quota_limits
from .quotas import quota_use

# -- wire ----------------------------------------------------------------------------------------------------------


class LimitsQuery(Query):
    tenant_id: str | None = None


NETWORK = (2, 35)
FILES = (2, 56)
ALWAYS = (999, 999)
MOST = {
    "maxTotalRAMSize": ("ram", ALWAYS), "maxTotalInstances": ("instances", ALWAYS), "maxTotalCores": ("cores", ALWAYS),
    "maxTotalKeypairs": ("key_pairs", ALWAYS), "maxServerMeta": ("metadata_items", ALWAYS),
    "maxImageMeta": ("metadata_items", (2, 38)), "maxPersonality": ("injected_files", FILES),
    "maxPersonalitySize": ("injected_file_content_bytes", FILES), "maxTotalFloatingIps": ("floating_ips", NETWORK),
    "maxSecurityGroups": ("security_groups", NETWORK), "maxSecurityGroupRules": ("security_group_rules", NETWORK),
    "maxServerGroups": ("server_groups", ALWAYS), "maxServerGroupMembers": ("server_group_members", ALWAYS),
}  # fmt: skip
"""Name of a limit -> the quota, and the last microversion that shows it."""
USED = {
    "totalRAMUsed": ("ram", ALWAYS), "totalCoresUsed": ("cores", ALWAYS), "totalInstancesUsed": ("instances", ALWAYS),
    "totalServerGroupsUsed": ("server_groups", ALWAYS), "totalFloatingIpsUsed": ("floating_ips", NETWORK),
    "totalSecurityGroupsUsed": ("security_groups", NETWORK),
}  # fmt: skip

# -- policy --------------------------------------------------------------------------------------------------------

SHOW = api.rule("os_compute_api:limits", ANY, "Show the limits of one's own project.")
OTHER = api.rule("os_compute_api:limits:other_project", ADMIN, "Show the limits of another project.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/limits", policy=SHOW, reply="limits", errors=(400,))
def show(tx: Tx, request: Request, query: LimitsQuery) -> dict:
    """Show a project's limits. What the network service has is counted there, so it shows as none used."""
    if query.tenant_id is not None:
        request.enforce(OTHER)
    project = query.tenant_id or str(request.context.project_id)
    limits, used = quota_limits(tx, project), quota_use(tx, project)
    absolute = {name: limits[quota] for name, (quota, last) in MOST.items() if request.version <= last}
    absolute |= {name: used.get(quota, 0) for name, (quota, last) in USED.items() if request.version <= last}
    return {"rate": [], "absolute": absolute}
