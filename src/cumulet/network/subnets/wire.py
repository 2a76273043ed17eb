"""Subnets as they cross the wire: what may be asked for, and what is answered."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, UnsetType
from .. import ipam
from ..bodies import Attributes, Id, Ip, ProjectId, Text
from ..resource import StandardView, standard_view, tags_of
from ..tables import allocation_pools, networks

Mode = t.Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class AllocationPool(msgspec.Struct, forbid_unknown_fields=True):
    start: Ip
    end: Ip


class HostRoute(msgspec.Struct, forbid_unknown_fields=True):
    destination: Ip
    nexthop: Ip


class SubnetUpdate(Attributes, kw_only=True):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    gateway_ip: Ip | None | UnsetType = UNSET
    allocation_pools: t.Annotated[list[AllocationPool], msgspec.Meta(max_length=256)] | UnsetType = UNSET
    dns_nameservers: t.Annotated[list[Ip], msgspec.Meta(max_length=5)] | None | UnsetType = UNSET
    host_routes: t.Annotated[list[HostRoute], msgspec.Meta(max_length=20)] | None | UnsetType = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    service_types: t.Annotated[list[Text], msgspec.Meta(max_length=32)] | UnsetType = UNSET
    dns_publish_fixed_ip: bool | UnsetType = UNSET
    segment_id: None | UnsetType = UNSET


class SubnetCreate(SubnetUpdate, kw_only=True):
    network_id: Id
    ip_version: t.Literal[4, 6]
    cidr: Ip | None = None
    subnetpool_id: Id | None = None
    use_default_subnetpool: bool = False
    prefixlen: t.Annotated[int, msgspec.Meta(ge=0, le=128)] | None = None
    ipv6_ra_mode: Mode | None = None
    ipv6_address_mode: Mode | None = None
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Subnet(StandardView, kw_only=True):
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    allocation_pools: list[AllocationPool]
    enable_dhcp: bool
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    subnetpool_id: str | None
    dns_nameservers: list[str]
    host_routes: list[dict[str, str]]
    service_types: list[str]
    dns_publish_fixed_ip: bool
    segment_id: None = None
    external: bool = msgspec.field(name="router:external")


def views(tx: Tx, rows: list[Row]) -> list[Subnet]:
    """The subnets as clients see them, with a fixed number of queries."""
    tagged, pools = tags_of(tx, rows), _pools(tx, [row.id for row in rows])
    wanted = {row.network_id for row in rows}
    outside = sa.select(networks.c.id).where(networks.c.external, networks.c.id.in_(wanted))
    external = {network.id for network in tx.all(outside)}
    return [_view(row, tagged[row.id], pools.get(row.id, []), row.network_id in external) for row in rows]


def _pools(tx: Tx, ids: list[str]) -> dict[str, list[AllocationPool]]:
    found: dict[str, list[AllocationPool]] = {}
    rows = tx.all(sa.select(allocation_pools).where(allocation_pools.c.subnet_id.in_(ids)))
    for row in sorted(rows, key=lambda row: int(ipam.address(row.first))):
        found.setdefault(row.subnet_id, []).append(AllocationPool(row.first, row.last))
    return found


def _view(row: Row, tagged: list[str], pools: list[AllocationPool], external: bool) -> Subnet:
    names = ("network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode",
             "subnetpool_id", "dns_nameservers", "host_routes", "service_types", "dns_publish_fixed_ip")  # fmt: skip
    same = {name: getattr(row, name) for name in names}
    return Subnet(**standard_view(row, tagged), **same, allocation_pools=pools, external=external)
