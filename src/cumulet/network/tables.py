"""The rows of networks: segments, subnets, ports and their addresses, which refer to each other.

Other resources (routers, floating IPs, security groups, ...) declare their tables beside their operations.
"""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Once, table


def standard() -> list[sa.Column]:
    """The columns of the standard attributes: owner, name, description, revision."""
    return [
        sa.Column("project_id", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("revision_number", sa.Integer, nullable=False, default=0),
    ]


def part_of(parent: str) -> sa.Column:
    """The column of a row that goes with its parent: `port_id` of `ports`."""
    column = f"{parent[:-1]}_id"
    return sa.Column(column, sa.String(64), sa.ForeignKey(f"{parent}.id", ondelete="CASCADE"), nullable=False, index=True)


tags = table(
    "tags",
    sa.Column("resource_id", sa.String(64), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True),
    id=False,
)
"""Tags of every kind of resource; a resource takes its own with it when it goes."""

rbac_policies = table(
    "rbac_policies",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("object_type", sa.String(32), nullable=False),
    sa.Column("object_id", sa.String(64), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("target_project", sa.String(64), nullable=False, index=True),
    unique={("object_id", "action", "target_project"): ("An RBAC policy already exists with those values.", "DuplicateRbacPolicy")},
)
"""With whom resources of several kinds are shared; a resource takes them with it when it goes. A target of "*" is all projects."""

address_scopes = table(
    "address_scopes",
    *standard(),
    sa.Column("ip_version", sa.Integer, nullable=False),
)

subnetpools = table(
    "subnetpools",
    *standard(),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("prefixes", sa.JSON, nullable=False),
    sa.Column("default_prefixlen", sa.Integer, nullable=False),
    sa.Column("min_prefixlen", sa.Integer, nullable=False),
    sa.Column("max_prefixlen", sa.Integer, nullable=False),
    sa.Column("default_quota", sa.Integer),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("address_scope_id", sa.String(64), sa.ForeignKey("address_scopes.id"), index=True),
    once=(Once(
        ("ip_version",), "A default subnetpool for this IP family has already been set. Only one default may exist per IP family.",
        {"is_default": True},
    ),),
)  # fmt: skip

networks = table(
    "networks",
    *standard(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("external", sa.Boolean, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("mtu", sa.Integer, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("network_type", sa.String(16), nullable=False),
    sa.Column("physical_network", sa.String(64)),
    sa.Column("segmentation_id", sa.Integer),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    sa.Column("vlan_transparent", sa.Boolean),
    sa.Column("availability_zone_hints", sa.JSON, nullable=False),
    once=(Once(("is_default",), ("A default external network already exists.", "DefaultExternalNetworkExists"), {"is_default": True}),),
)

subnets = table(
    "subnets",
    *standard(),
    sa.Column("network_id", sa.String(64), sa.ForeignKey("networks.id"), nullable=False, index=True),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("cidr", sa.String(64), nullable=False),
    sa.Column("gateway_ip", sa.String(64)),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("ipv6_ra_mode", sa.String(16)),
    sa.Column("ipv6_address_mode", sa.String(16)),
    sa.Column("subnetpool_id", sa.String(64), sa.ForeignKey("subnetpools.id"), index=True),
    sa.Column("dns_nameservers", sa.JSON, nullable=False),
    sa.Column("host_routes", sa.JSON, nullable=False),
    sa.Column("service_types", sa.JSON, nullable=False),
    sa.Column("dns_publish_fixed_ip", sa.Boolean, nullable=False),
)

allocation_pools = table(
    "allocation_pools",
    part_of("subnets"),
    sa.Column("first", sa.String(64), nullable=False),
    sa.Column("last", sa.String(64), nullable=False),
)

ports = table(
    "ports",
    *standard(),
    sa.Column("network_id", sa.String(64), sa.ForeignKey("networks.id"), nullable=False, index=True),
    sa.Column("mac_address", sa.String(17), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("device_id", sa.String(255), nullable=False, index=True),
    sa.Column("device_owner", sa.String(255), nullable=False, index=True),
    sa.Column("host", sa.String(255), nullable=False, index=True),
    sa.Column("vnic_type", sa.String(64), nullable=False),
    sa.Column("profile", sa.JSON, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("allowed_address_pairs", sa.JSON, nullable=False),
    sa.Column("extra_dhcp_opts", sa.JSON, nullable=False),
    sa.Column("propagate_uplink_status", sa.Boolean, nullable=False),
    sa.Column("dns_name", sa.String(255), nullable=False),
    sa.Column("dns_domain", sa.String(255), nullable=False),
    unique={("network_id", "mac_address"): (
        "Unable to complete operation for network {network_id}. The mac address {mac_address} is in use.",
        "MacAddressInUse",
    )},
)  # fmt: skip
"""`host` is "" while the port is bound to none; `device_id` and `device_owner` are "" while nothing uses it."""

fixed_ips = table(
    "fixed_ips",
    part_of("ports"),
    sa.Column("network_id", sa.String(64), nullable=False),
    sa.Column("subnet_id", sa.String(64), sa.ForeignKey("subnets.id"), nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False),
    unique={("network_id", "address"): (
        "Unable to complete operation for network {network_id}. The IP address {address} is in use.", "IpAddressInUse",
    )},
)  # fmt: skip
"""The addresses of ports, in the shortest form of their notation."""

port_security_groups = table(
    "port_security_groups",
    part_of("ports"),
    sa.Column("security_group_id", sa.String(64), nullable=False, index=True),
    unique={("port_id", "security_group_id"): "Port {port_id} has security group {security_group_id} already."},
)
