"""What a new cloud comes with: its external network, and the pool out of which projects get subnets that they did not choose."""

from __future__ import annotations

import ipaddress

from ..kernel.db import Tx
from .sharing import EXTERNAL, share
from .subnetpools import KIND, LEAST
from .tables import allocation_pools, networks, subnetpools, subnets


def add_external(tx: Tx, *, project_id: str, name: str, cidr: str, gateway: str) -> None:
    """A flat network on the physical network of its own name, with one subnet without DHCP: addresses from the tenth on,
    the machine's own being `gateway`."""
    network = tx.insert(
        networks, project_id=project_id, name=name, description="", admin_state_up=True, external=True, is_default=True,
        mtu=1500, port_security_enabled=True, network_type="flat", physical_network=name, dns_domain="", availability_zone_hints=[],
    )  # fmt: skip
    share(tx, "network", network, EXTERNAL)
    subnet = tx.insert(
        subnets, project_id=project_id, name=f"{name}-subnet", description="", network_id=network.id, ip_version=4, cidr=cidr,
        gateway_ip=gateway, enable_dhcp=False, dns_nameservers=[], host_routes=[], service_types=[], dns_publish_fixed_ip=False,
    )  # fmt: skip
    whole = ipaddress.ip_network(cidr)
    first, last = whole[10 if whole.num_addresses > 16 else 2], whole[-2]
    tx.insert(allocation_pools, subnet_id=subnet.id, first=str(first), last=str(last))


def add_default_pool(tx: Tx, *, project_id: str, name: str, prefix: str, length: int) -> None:
    """The default IPv4 pool, shared by all projects: subnets of `length` out of `prefix`. Nothing where there is one."""
    if tx.get(subnetpools, is_default=True, ip_version=4):
        return
    pool = tx.insert(
        subnetpools, project_id=project_id, name=name, description="", ip_version=4, prefixes=[prefix], is_default=True,
        min_prefixlen=LEAST[4], default_prefixlen=length, max_prefixlen=32, default_quota=None, address_scope_id=None,
    )  # fmt: skip
    share(tx, KIND, pool)
