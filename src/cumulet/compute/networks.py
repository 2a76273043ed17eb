"""Networks as the compute API shows them, until 2.35: the network service's, by id and name."""

from __future__ import annotations

import sqlalchemy as sa

from .. import network
from ..kernel.db import Row, Tx
from ..kernel.http import NotFound, Request
from ..network.networks import networks, visible
from . import PROJECT_READER, api

# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-networks:list", PROJECT_READER, "List networks.")
SHOW = api.rule("os_compute_api:os-networks:show", PROJECT_READER, "Show a network.")
TENANT_LIST = api.rule("os_compute_api:os-tenant-networks:list", PROJECT_READER, "List a project's networks.")
TENANT_SHOW = api.rule("os_compute_api:os-tenant-networks:show", PROJECT_READER, "Show a project's network.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-networks", policy=LIST, reply="networks", last="2.35")
def index(tx: Tx, request: Request) -> list[dict]:
    """List the networks that the caller may see."""
    return [_view(request, row) for row in _listed(tx, request)]


@api.op("GET", "/os-networks/{id}", policy=SHOW, reply="network", last="2.35", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> dict:
    """Show a network."""
    return _view(request, _find(tx, request, id))


@api.op("GET", "/os-tenant-networks", policy=TENANT_LIST, reply="networks", last="2.35")
def list_tenant(tx: Tx, request: Request) -> list[dict]:
    """List the networks that the caller may see, in brief."""
    return [_brief(row) for row in _listed(tx, request)]


@api.op("GET", "/os-tenant-networks/{id}", policy=TENANT_SHOW, reply="network", last="2.35", errors=(404,))
def show_tenant(tx: Tx, request: Request, id: str) -> dict:
    """Show a network in brief."""
    return _brief(_find(tx, request, id))


# -- helpers -------------------------------------------------------------------------------------------------------

_EMPTY = ("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6")
_EMPTY_TO_ADMINS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip
"""What networks had when the compute service made them; null since."""


def _listed(tx: Tx, request: Request) -> list[Row]:
    return tx.all(sa.select(networks).where(visible(request.context)).order_by(networks.c.created_at, networks.c.id))


def _find(tx: Tx, request: Request, id: str) -> Row:
    try:
        return network.find_network(tx, request.context, id)
    except NotFound:
        raise NotFound("Network not found") from None


def _view(request: Request, row: Row) -> dict:
    empty = _EMPTY + (_EMPTY_TO_ADMINS if request.context.is_admin else ())
    return {"id": row.id, "label": row.name} | dict.fromkeys(empty)


def _brief(row: Row) -> dict:
    return {"id": row.id, "label": row.name, "cidr": "None"}
