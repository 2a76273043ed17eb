"""What the compute API once had and answers with 410 since: agents, cells, certificates, nova-network's own things."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import BadRequest, Gone, NotImplementedHere, Request
from . import ADMIN, api

REMOVED = {
    "/os-agents": "GET POST", "/os-agents/{id}": "PUT DELETE",
    "/os-cells": "GET POST", "/os-cells/capacities": "GET", "/os-cells/detail": "GET", "/os-cells/info": "GET",
    "/os-cells/sync_instances": "POST", "/os-cells/{id}": "GET PUT DELETE", "/os-cells/{id}/capacities": "GET",
    "/os-certificates": "POST", "/os-certificates/{id}": "GET",
    "/os-cloudpipe": "GET POST", "/os-cloudpipe/{id}": "PUT",
    "/os-fixed-ips/{id}": "GET", "/os-fixed-ips/{id}/action": "POST",
    "/os-floating-ip-dns": "GET", "/os-floating-ip-dns/{id}": "PUT DELETE",
    "/os-floating-ip-dns/{domain}/entries/{id}": "GET PUT DELETE",
    "/os-floating-ips-bulk": "GET POST", "/os-floating-ips-bulk/{id}": "GET PUT",
    "/os-fping": "GET", "/os-fping/{id}": "GET",
    "/os-networks": "POST", "/os-networks/add": "POST", "/os-networks/{id}": "DELETE", "/os-networks/{id}/action": "POST",
    "/os-tenant-networks": "POST", "/os-tenant-networks/{id}": "DELETE",
    "/os-security-group-default-rules": "GET POST", "/os-security-group-default-rules/{id}": "GET DELETE",
}  # fmt: skip


def gone(tx: Tx, request: Request, **_: str) -> None:
    """Answer that this was removed from the API."""
    raise Gone("This resource was removed from the compute API and is no longer available.")


for _path, _methods in REMOVED.items():
    for _method in _methods.split():
        api.op(_method, _path, policy=None, write=False, errors=(410,))(gone)

# -- bare metal: a proxy to a service that is reached directly now -------------------------------------------------

LIST = api.rule("os_compute_api:os-baremetal-nodes:list", ADMIN, "List bare metal nodes.")
SHOW = api.rule("os_compute_api:os-baremetal-nodes:show", ADMIN, "Show a bare metal node.")


@api.op("GET", "/os-baremetal-nodes", policy=LIST, last="2.35", errors=(501,))
def list_nodes(tx: Tx, request: Request) -> None:
    """Answer that there is no bare metal service behind this one."""
    raise NotImplementedHere("This cloud's compute service is no proxy to a bare metal service.")


@api.op("GET", "/os-baremetal-nodes/{id}", policy=SHOW, last="2.35", errors=(501,))
def show_node(tx: Tx, request: Request, id: str) -> None:
    """Answer that there is no bare metal service behind this one."""
    list_nodes(tx, request)


@api.op("POST", "/os-baremetal-nodes", policy=LIST, last="2.35", errors=(400,))
def create_node(tx: Tx, request: Request) -> None:
    """Refuse: nodes were never made here."""
    raise BadRequest("Command Not supported. Please use Ironic command baremetal-node-create to perform this action.")
