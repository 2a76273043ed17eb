"""Ports as they cross the wire: what may be asked for, and what is answered."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Request, UnsetType
from ..bodies import Attributes, Id, Ip, ProjectId, Text
from ..resource import StandardView, standard_view, tags_of, target
from ..tables import networks
from .addresses import of_ports
from .rows import groups_of

Mac = t.Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")]
VnicType = t.Literal[
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed",
]  # fmt: skip
DOMAIN = "openstacklocal."
"""The domain of hosts in the answers of a network's DNS."""

COLUMNS = {"binding:host_id": "host", "binding:vnic_type": "vnic_type"}
"""Attributes whose columns have other names."""
ADMIN_VIEW = ("binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details")


class FixedIpWanted(msgspec.Struct, forbid_unknown_fields=True):
    subnet_id: Id | None = None
    ip_address: Ip | None = None


class AddressPair(msgspec.Struct, forbid_unknown_fields=True):
    ip_address: Ip | None = None
    mac_address: Mac | None = None


class DhcpOption(msgspec.Struct, forbid_unknown_fields=True):
    opt_name: t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    opt_value: Text | None = None
    ip_version: t.Literal[4, 6] = 4


class PortUpdate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    mac_address: Mac | UnsetType = UNSET
    fixed_ips: t.Annotated[list[FixedIpWanted], msgspec.Meta(max_length=64)] | None | UnsetType = UNSET
    device_id: Text | UnsetType = UNSET
    device_owner: Text | UnsetType = UNSET
    security_groups: t.Annotated[list[Id], msgspec.Meta(max_length=64)] | None | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: list[AddressPair] | None | UnsetType = UNSET
    extra_dhcp_opts: t.Annotated[list[DhcpOption], msgspec.Meta(max_length=64)] | None | UnsetType = UNSET
    host: Text | None | UnsetType = msgspec.field(default=UNSET, name="binding:host_id")
    profile: dict[str, t.Any] | None | UnsetType = msgspec.field(default=UNSET, name="binding:profile")
    vnic_type: VnicType | UnsetType = msgspec.field(default=UNSET, name="binding:vnic_type")
    qos_policy_id: None | UnsetType = UNSET
    propagate_uplink_status: bool | UnsetType = UNSET
    dns_name: Text | UnsetType = UNSET
    dns_domain: Text | UnsetType = UNSET


class PortCreate(PortUpdate, kw_only=True):
    network_id: Id
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Port(StandardView, kw_only=True):
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    fixed_ips: list[dict[str, str]]
    security_groups: list[str]
    port_security_enabled: bool
    allowed_address_pairs: list[dict[str, str]]
    extra_dhcp_opts: list[dict[str, t.Any]]
    vnic_type: str = msgspec.field(name="binding:vnic_type")
    host: str | UnsetType = msgspec.field(default=UNSET, name="binding:host_id")
    profile: dict | UnsetType = msgspec.field(default=UNSET, name="binding:profile")
    vif_type: str | UnsetType = msgspec.field(default=UNSET, name="binding:vif_type")
    vif_details: dict | UnsetType = msgspec.field(default=UNSET, name="binding:vif_details")
    qos_policy_id: None = None
    qos_network_policy_id: None = None
    resource_request: None = None
    propagate_uplink_status: bool
    dns_name: str
    dns_domain: str
    dns_assignment: list[dict[str, str]]


def views(tx: Tx, request: Request, rows: list[Row]) -> list[Port]:
    """The ports as the caller may see them, with a fixed number of queries."""
    ids = [row.id for row in rows]
    tagged, addresses, groups = tags_of(tx, rows), of_ports(tx, ids), groups_of(tx, ids)
    owners = {network.id: network for network in tx.all(networks.select().where(networks.c.id.in_({r.network_id for r in rows})))}
    return [
        Port(
            **standard_view(row, tagged[row.id]), **_own(row), **_bound(request, row, owners[row.network_id]),
            fixed_ips=[{"subnet_id": ip.subnet_id, "ip_address": ip.address} for ip in addresses[row.id]],
            dns_assignment=[_assignment(row, ip.address) for ip in addresses[row.id]], security_groups=groups[row.id],
        ) for row in rows
    ]  # fmt: skip


def vif_type(row: Row) -> str:
    return "bridge" if row.host else "unbound"


def vif_details(row: Row) -> dict[str, t.Any]:
    return {"port_filter": True, "connectivity": "l2"} if row.host else {}


def _own(row: Row) -> dict[str, t.Any]:
    """The attributes that the view takes from the row as they are."""
    names = ("network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner", "vnic_type",
             "port_security_enabled", "allowed_address_pairs", "extra_dhcp_opts", "propagate_uplink_status", "dns_name",
             "dns_domain")  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _bound(request: Request, row: Row, network: Row) -> dict[str, t.Any]:
    """What of the port's place on a host the caller may see."""
    found = {"host": row.host, "profile": row.profile, "vif_type": vif_type(row), "vif_details": vif_details(row)}
    of = target(row, network)
    seen = {name.removeprefix("binding:").removesuffix("_id") for name in ADMIN_VIEW if request.allows(f"get_port:{name}", of)}
    return {name: value for name, value in found.items() if name in seen}


def _assignment(row: Row, address: str) -> dict[str, str]:
    hostname = row.dns_name or "host-" + address.replace(".", "-").replace(":", "-")
    domain = (row.dns_domain or DOMAIN).rstrip(".") + "."
    return {"ip_address": address, "hostname": hostname, "fqdn": f"{hostname}.{domain}"}
