"""What clients ask before they ask for anything: extensions, filters of lists, clusters."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import NotFound, Query, Request
from . import ADMIN, ANYBODY, api

EXTENSIONS = {
    "OS-SCH-HNT": "Scheduler hints",
    "backups": "Backups",
    "capabilities": "Back ends' capabilities",
    "cgsnapshots": "Group snapshots",
    "consistencygroups": "Consistency groups",
    "encryption": "Encryption of volume types",
    "os-admin-actions": "Administrators' actions",
    "os-availability-zone": "Availability zones",
    "os-extended-services": "Services with reasons",
    "os-hosts": "Hosts",
    "os-quota-class-sets": "Default quotas",
    "os-quota-sets": "Quotas",
    "os-services": "Services",
    "os-snapshot-actions": "Snapshots' actions",
    "os-snapshot-manage": "Managing snapshots",
    "os-snapshot-unmanage": "Unmanaging snapshots",
    "os-types-extra-specs": "Extra specs of volume types",
    "os-types-manage": "Managing volume types",
    "os-used-limits": "Used limits",
    "os-vol-host-attr": "Hosts of volumes",
    "os-vol-image-meta": "Image metadata of volumes",
    "os-vol-mig-status-attr": "Migrations of volumes",
    "os-vol-tenant-attr": "Projects of volumes",
    "os-volume-actions": "Volumes' actions",
    "os-volume-encryption-metadata": "Encryption of volumes",
    "os-volume-manage": "Managing volumes",
    "os-volume-transfer": "Transfers of volumes",
    "os-volume-type-access": "Access to volume types",
    "os-volume-unmanage": "Unmanaging volumes",
    "qos-specs": "QoS specs",
    "scheduler-stats": "Storage pools",
}
"""Alias -> what it is. They are all always there; the names are those that clients look for."""

FILTERS = {
    "volume": ["name", "status", "metadata", "bootable", "availability_zone", "group_id", "multiattach"],
    "backup": ["name", "status", "volume_id"], "snapshot": ["name", "status", "volume_id", "metadata"],
    "group": ["name"], "group_snapshot": ["name", "status", "group_id"],
    "attachment": ["volume_id", "status", "instance_id", "attach_status"],
    "message": ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"], "pool": ["name"],
    "volume_type": ["is_public"],
}  # fmt: skip

CLUSTERS = api.rule("clusters:get_all", ADMIN, "List clusters.")
CLUSTER = api.rule("clusters:get", ADMIN, "Show a cluster.")


class FilterQuery(Query):
    resource: str | None = None


@api.op("GET", "/extensions", policy=ANYBODY, reply="extensions")
async def extensions(request: Request) -> list[dict]:
    """List the API's extensions."""
    return [{"alias": alias, "name": what, "description": f"{what}.", "updated": "2013-01-01T00:00:00+00:00", "links": []}
            for alias, what in EXTENSIONS.items()]  # fmt: skip


@api.op("GET", "/resource_filters", policy=ANYBODY, first="3.33", reply="resource_filters")
async def resource_filters(request: Request, query: FilterQuery) -> list[dict]:
    """List what each kind of list can be filtered by."""
    return [{"resource": name, "filters": filters} for name, filters in FILTERS.items() if query.resource in (None, name)]


@api.op("GET", "/clusters", policy=CLUSTERS, first="3.7", reply="clusters")
def clusters(tx: Tx, request: Request) -> list[dict]:
    """List clusters: there are none."""
    return []


@api.op("GET", "/clusters/detail", policy=CLUSTERS, first="3.7", reply="clusters")
def clusters_detail(tx: Tx, request: Request) -> list[dict]:
    """List clusters whole: there are none."""
    return []


@api.op("GET", "/clusters/{name}", policy=CLUSTER, first="3.7", errors=(404,))
def cluster(tx: Tx, request: Request, name: str) -> None:
    """Show a cluster: there are none."""
    raise NotFound(f"Cluster {name} could not be found.")
