"""What must hold of a subnet's attributes, and their form in the tables."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Conflict
from .. import ipam
from ..bodies import Json, invalid
from ..ports.addresses import ROUTER_OWNERS
from ..tables import allocation_pools, fixed_ips, ports, subnets
from .wire import AllocationPool, HostRoute, SubnetCreate


def prefix(cidr: str, version: int) -> ipam.Network:
    """The subnet's own prefix. Raises BadRequest for what hosts cannot have."""
    try:
        net = ipam.network(cidr, version)
    except ipam.Problem as problem:
        raise invalid(f"cidr: {problem.message}") from None
    if net.prefixlen == 0:
        raise invalid("0 is not allowed as CIDR prefix length")
    if net.is_multicast or net.is_loopback:
        raise invalid(f"cidr {net} is multicast or loopback")
    return net


def modes(wanted: SubnetCreate, net: ipam.Network) -> None:
    """Raise BadRequest unless the two IPv6 modes agree with each other, the version, DHCP and the prefix."""
    ra, mode = wanted.ipv6_ra_mode, wanted.ipv6_address_mode
    if (ra or mode) and wanted.ip_version != 6:
        raise invalid("ipv6_ra_mode or ipv6_address_mode cannot be set with ip_version 4")
    if (ra or mode) and wanted.enable_dhcp is False:
        raise invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra and mode and ra != mode:
        raise invalid(f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{mode}' is not valid. If both attributes "
                      "are set, they must be the same value")  # fmt: skip
    if {ra, mode} & {"slaac", "dhcpv6-stateless"} and net.prefixlen != 64:
        raise invalid(f"Invalid CIDR {net} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires "
                      "the prefix to be /64")  # fmt: skip


def keeps_dhcp(row: Row, given: Json) -> None:
    """Raise BadRequest where DHCP is to be switched off under an IPv6 mode."""
    if given.get("enable_dhcp") is False and (row.ipv6_ra_mode or row.ipv6_address_mode):
        raise invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")


def room_for_dhcp(net: ipam.Network, dhcp: bool) -> None:
    """Raise BadRequest where DHCP is to be in a subnet with no address for it beside the gateway's and a host's."""
    if dhcp and net.prefixlen > ipam.BITS[net.version] - 2:
        raise invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")


def overlap(tx: Tx, network_id: str, net: ipam.Network) -> None:
    """Raise BadRequest where another subnet of the network has some of the addresses."""
    for other in tx.rows(subnets, network_id=network_id, ip_version=net.version):
        if net.overlaps(ipam.network(other.cidr)):
            raise invalid(f"Requested subnet with cidr: {net} for network: {network_id} overlaps with another subnet")


def gateway(net: ipam.Network, address: str | None) -> str | None:
    """The gateway's address in its shortest form. It may be outside the subnet, but not the network or broadcast
    address of it. Raises BadRequest."""
    if address is None:
        return None
    try:
        found = ipam.address(address, net.version)
    except ipam.Problem as problem:
        raise invalid(f"gateway_ip: {problem.message}") from None
    if net.version == 4 and found in net and net.num_addresses > 2 and found in (net[0], net[-1]):
        raise invalid(f"Gateway is not valid on subnet: gateway_ip {found} is the network or broadcast address of {net}")
    return str(found)


def gateway_unused(tx: Tx, row: Row) -> None:
    """Raise Conflict where a router answers on the gateway's address now."""
    routers = (
        sa.select(ports.c.id)
        .join(fixed_ips)
        .where(
            fixed_ips.c.subnet_id == row.id,
            fixed_ips.c.address == row.gateway_ip,
            ports.c.device_owner.in_(ROUTER_OWNERS),
        )
    )
    if row.gateway_ip is not None and (port := tx.first(routers)) is not None:
        raise Conflict(
            f"Current gateway ip {row.gateway_ip} already in use by port {port.id}. Unable to update.",
            kind="GatewayIpInUse",
        )


def options(net: ipam.Network, given: Json) -> None:
    """Bring name servers and routes into the form that the table holds. Raises BadRequest."""
    try:
        if "dns_nameservers" in given:
            given["dns_nameservers"] = [str(ipam.address(one, net.version)) for one in given["dns_nameservers"] or ()]
        if "host_routes" in given:
            given["host_routes"] = [_route(net, one) for one in given["host_routes"] or ()]
    except ipam.Problem as problem:
        raise invalid(problem.message) from None
    for name in ("dns_nameservers", "host_routes"):
        values = given.get(name, [])
        if any(one in values[:i] for i, one in enumerate(values)):
            raise invalid(f"{name} has an entry twice")


def _route(net: ipam.Network, route: HostRoute) -> dict[str, str]:
    to, by = ipam.network(route.destination, net.version), ipam.address(route.nexthop, net.version)
    return {"destination": str(to), "nexthop": str(by)}


# -- pools ---------------------------------------------------------------------------------------------------------


def pools(net: ipam.Network, gateway: str | None, wanted: list[AllocationPool] | None) -> list[ipam.Pool]:
    """The pools asked for, or by default all but the gateway. Raises BadRequest, Conflict."""
    if wanted is None:
        return ipam.default_pools(net, gateway)
    try:
        made = ipam.pools(net, [(pool.start, pool.end) for pool in wanted])
    except ipam.Problem as problem:
        status = Conflict if problem.kind == "OverlappingAllocationPools" else BadRequest
        raise status(problem.message, kind=problem.kind) from None
    _gateway_outside(net, gateway, made)
    return made


def change_pools(tx: Tx, row: Row, net: ipam.Network, gateway: str | None, wanted: list[AllocationPool] | None) -> None:
    """Replace the pools, or, where they stay, see that a new gateway is in none of them."""
    if wanted is not None:
        made = pools(net, gateway, wanted)
        tx.delete(allocation_pools, subnet_id=row.id)
        write_pools(tx, row, made)
    elif gateway != row.gateway_ip:
        _gateway_outside(net, gateway, [ipam.pool(one.first, one.last) for one in tx.rows(allocation_pools, subnet_id=row.id)])


def write_pools(tx: Tx, row: Row, made: list[ipam.Pool]) -> None:
    version = row.ip_version
    tx.insert_many(allocation_pools, [
        {"subnet_id": row.id, "first": ipam.text(first, version), "last": ipam.text(last, version)}
        for first, last in made
    ])  # fmt: skip


def _gateway_outside(net: ipam.Network, gateway: str | None, made: list[ipam.Pool]) -> None:
    if gateway is not None and (pool := ipam.pool_of(gateway, made)) is not None:
        name = "-".join(ipam.text(number, net.version) for number in pool)
        raise Conflict(f"Gateway ip {gateway} conflicts with allocation pool {name}.", kind="GatewayConflictWithAllocationPools")
