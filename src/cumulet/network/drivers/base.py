"""What a network driver must do, and the description of a host's whole network that it is handed.

The control plane never says "add this port": it hands over everything a host should have, with a
generation, and `apply` makes it so. What is there and not in the description goes. So nothing can leak,
a lost message costs nothing, and the driver can rebuild the host from the last description on disk.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class FixedIp(msgspec.Struct, frozen=True):
    subnet_id: str
    address: str


class AddressPair(msgspec.Struct, frozen=True):
    """An address that a port may use besides its own. `ip` may be a CIDR."""

    ip: str
    mac: str


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One security group rule. Remote groups are resolved by the host from `HostNetwork.groups`."""

    direction: str
    ethertype: str
    protocol: str | None = None
    """A name (tcp, udp, icmp, ipv6-icmp, ...) or a number; None is any."""
    port_min: int | None = None
    """First port, or the ICMP type."""
    port_max: int | None = None
    """Last port, or the ICMP code."""
    remote_cidr: str | None = None
    remote_group: str | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A security group with the addresses of all its members, on every host."""

    id: str
    rules: tuple[Rule, ...]
    members: tuple[str, ...]


class Port(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A port bound to this host: the driver makes its tap device."""

    id: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]
    device_id: str = ""
    groups: tuple[str, ...] = ()
    pairs: tuple[AddressPair, ...] = ()
    port_security: bool = True
    """False: no anti-spoofing and no groups."""
    up: bool = True
    """admin_state_up; a port that is down passes nothing."""
    hostname: str = ""
    dhcp_options: dict[str, str] = {}


class Subnet(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: str
    cidr: str
    ip_version: int
    gateway: str | None = None
    dhcp: bool = True
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """(destination CIDR, next hop)"""
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


class Lease(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An address that the network's DHCP hands out: every port of the network, bound here or elsewhere."""

    port_id: str
    mac: str
    addresses: tuple[FixedIp, ...]
    hostname: str
    server_id: str = ""
    """The server that asks for metadata from this address; "" where the port is no server's."""
    options: dict[str, str] = {}
    """By name, or by number; those of DHCPv6 with `option6:` before it."""


class Network(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A network that has something on this host.

    `kind` is `vxlan`, `flat` (a physical network that the host knows by `physical`) or `local`.
    """

    id: str
    kind: str
    mtu: int
    segment: int = 0
    physical: str = ""
    up: bool = True
    subnets: tuple[Subnet, ...] = ()
    leases: tuple[Lease, ...] = ()
    dhcp_port: Port | None = None
    """The address of DHCP, DNS and metadata on this network; None where the host serves none."""
    peers: tuple[str, ...] = ()
    """Tunnel addresses of the other hosts that have this network."""


class RouterPort(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a router."""

    port_id: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]


class FloatingIp(msgspec.Struct, frozen=True):
    floating: str
    fixed: str


class Router(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A router that lives on this host, in a namespace of its own."""

    id: str
    up: bool = True
    interfaces: tuple[RouterPort, ...] = ()
    gateway: RouterPort | None = None
    snat: bool = True
    floating_ips: tuple[FloatingIp, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()

    @property
    def legs(self) -> tuple[RouterPort, ...]:
        """The interfaces, and behind them the gateway, if there is one."""
        return (*self.interfaces, *([self.gateway] if self.gateway else []))


class HostNetwork(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything of the network that one host should have."""

    host: str
    generation: int
    networks: tuple[Network, ...] = ()
    ports: tuple[Port, ...] = ()
    groups: tuple[Group, ...] = ()
    routers: tuple[Router, ...] = ()


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What came of `apply`: the generation now in force, and what failed, by id, with the reason."""

    generation: int
    failed: dict[str, str] = {}


class NetworkDriverError(Exception):
    """The host's network could not be brought to its description; the text says which part and why."""


class NetworkDriver(Protocol):
    """One host's network."""

    async def open(self) -> None:
        """Prepare the host (forwarding, the physical network's bridge) and re-apply the last description kept on disk."""

    async def close(self) -> None:
        """Stop watching; everything that guests use stays as it is."""

    async def apply(self, wanted: HostNetwork) -> Applied:
        """Make the host so. An older generation than the one in force is refused with NetworkDriverError.
        Filter rules change in one step: at no instant is a port without the rules of its groups.
        One network, port or router that cannot be made does not keep the others from being made."""
        ...

    async def remove(self) -> None:
        """Take away everything of this cloud from the host, the external bridge included."""

    def tap(self, port_id: str) -> str:
        """The name of the port's tap device on this host, at most 15 characters."""
        ...

    async def port_statistics(self, port_id: str) -> dict[str, int]:
        """rx_octets, rx_packets, rx_drop, rx_errors and the same with tx_, as the guest sees them."""
        ...
