"""Network: networks, subnets, ports, routers, floating IPs, security groups. Neutron's API, version 2.0.

Other services use what is named below; the functions that take a transaction are called inside theirs.
"""

from ..kernel.exports import lazily

__getattr__ = lazily(
    __name__,
    service="api",
    networks="find_network usable_networks",
    ports__interfaces="Address Interface devices_with_address interfaces network_data",
    ports__operations="find_port",
    ports__servers="allocate_port bind_port claim_port release_port unbind_port",
    security_groups__groups="named_groups",
    auto_allocated_topology="auto_network",
    external="add_default_pool add_external",
    hosts="host_event",
    reconcile__hosts="realize",
)
