"""All links that a description puts on the host itself: bridges, tunnels, taps, and the external bridge."""

from __future__ import annotations

import ipaddress

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError as PyrouteError

from cumulet.network.drivers.base import HostNetwork, Network, Port
from cumulet.network.drivers.linux import links
from cumulet.network.drivers.linux.inside import addresses, split
from cumulet.network.drivers.linux.links import Host, Link
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.namespaces import sysctl

FAILURES = (ValueError, OSError, PyrouteError)
LOCAL_MTU = 1500


class PublicNet(msgspec.Struct, frozen=True, kw_only=True):
    """A physical network: flat networks name it, and the machine is on it itself.

    `gateway` is the machine's own address in `cidr`. `uplink`, where given, is the machine's interface that
    joins the external bridge; without it nothing leaves the machine.
    """

    name: str
    cidr: str
    gateway: str
    uplink: str | None = None
    mtu: int = LOCAL_MTU

    def interface(self) -> str:
        return f"{self.gateway}/{ipaddress.ip_network(self.cidr).prefixlen}"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a host knows of itself: names, its physical network, its tunnel address, who may open its taps."""

    names: Names
    public: PublicNet | None
    tunnel_ip: str | None
    owner: int

    def bridge(self, network: Network) -> str:
        """The bridge of a network. Raises ValueError where this host cannot have it."""
        if network.kind in ("vxlan", "local"):
            return self.names.bridge(network.id)
        if network.kind != "flat":
            raise ValueError(f"network {network.id} is of kind {network.kind!r}; this host makes vxlan, flat and local")
        if self.public is None or network.physical != self.public.name:
            raise ValueError(f"this host has no physical network {network.physical!r}")
        return self.names.external_bridge

    def tunnels(self, network: Network) -> bool:
        return network.kind == "vxlan" and self.tunnel_ip is not None


def make(site: Site, wanted: HostNetwork) -> tuple[dict[str, Link], dict[str, str]]:
    """Make the host's links those of the description; all links now, and what failed, by id."""
    failed: dict[str, str] = {}
    with IPRoute() as ip:
        host = Host(ip)
        sweep(host, kept(site, wanted), site.names)
        if site.public:
            external(host, site.names, site.public)
        floods = links.floods() if any(site.tunnels(network) for network in wanted.networks) else {}
        for network in wanted.networks:
            attempt(failed, network.id, lambda network=network: make_network(host, site, network, floods))
        networks = {network.id: network for network in wanted.networks if network.id not in failed}
        for port in wanted.ports:
            attempt(failed, port.id, lambda port=port: make_port(host, site, port, networks))
        return host.links, failed


def attempt(failed: dict[str, str], id: str, work) -> None:
    try:
        work()
    except FAILURES as error:
        failed[id] = str(error)


def kept(site: Site, wanted: HostNetwork) -> set[str]:
    """Names of all links that may stay."""
    names = site.names
    legs = [network.dhcp_port.id for network in wanted.networks if network.dhcp_port]
    legs += [leg.port_id for router in wanted.routers for leg in router.legs]
    return {
        *([names.external_bridge, names.gateway, names.gateway_peer] if site.public else []),
        *(names.bridge(network.id) for network in wanted.networks if network.kind != "flat"),
        *(names.vxlan(network.id) for network in wanted.networks if site.tunnels(network)),
        *(names.tap(port.id) for port in wanted.ports),
        *(names.outer(leg) for leg in legs),
    }


def sweep(host: Host, kept: set[str], names: Names) -> None:
    for name in [name for name in host.links if names.owns(name) and name not in kept]:
        host.delete(name)


def external(host: Host, names: Names, public: PublicNet) -> None:
    """The external bridge. The machine is on it by a veth pair of its own, so that what it sends to a
    guest is bridged, and filtered, like everything else."""
    host.bridge(names.external_bridge, public.mtu)
    if names.gateway not in host.links:
        host.ip.link("add", ifname=names.gateway, kind="veth", peer={"ifname": names.gateway_peer})
        host.refresh()
    for name, master in ((names.gateway, None), (names.gateway_peer, names.external_bridge)):
        if not host.links[name].up:
            sysctl(f"ipv6/conf/{name}/disable_ipv6", "0" if ":" in public.gateway and master is None else "1")
        host.set(name, mtu=public.mtu, up=True, master=master)
    own_address(host, names.gateway, public.interface())
    if public.uplink:
        if public.uplink not in host.links:
            raise ValueError(f"the uplink {public.uplink!r} of physical network {public.name!r} is not on this host")
        host.set(public.uplink, mtu=host.links[public.uplink].mtu, up=True, master=names.external_bridge)


def own_address(host: Host, name: str, interface: str) -> None:
    index = host.links[name].index
    have = addresses(index)
    for gone in have - {interface}:
        host.ip.addr("del", index=index, **split(gone))
    if interface not in have:
        host.ip.addr("add", index=index, **split(interface))


def make_network(host: Host, site: Site, network: Network, floods: dict[int, set[str]]) -> None:
    bridge = site.bridge(network)
    if network.kind == "flat":
        return
    host.bridge(bridge, network.mtu, network.up)
    if site.tunnels(network):
        name = site.names.vxlan(network.id)
        host.vxlan(name, network.segment, site.tunnel_ip or "", network.mtu, bridge)
        host.flood(name, tuple(str(ipaddress.ip_address(peer)) for peer in network.peers), floods)


def make_port(host: Host, site: Site, port: Port, networks: dict[str, Network]) -> None:
    name = site.names.tap(port.id)
    network = networks.get(port.network_id)
    if network is None:
        host.delete(name)
        raise ValueError(f"its network {port.network_id} is not on this host")
    host.tap(name, site.owner, network.mtu, site.bridge(network), port.up and network.up)
