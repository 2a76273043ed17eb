"""What dnsmasq is told to serve DHCP and DNS on one network: pure text, see dnsmasq(8).

`configuration` holds for as long as the subnets do; `leases` are the files that it reads again on SIGHUP.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import msgspec

from cumulet.network.drivers.base import Lease, Network, Port, Subnet
from cumulet.network.drivers.linux.names import short
from cumulet.network.drivers.linux.spoof import mac

METADATA = "169.254.169.254"
LEASE_TIME = 86400
"""Seconds; the addresses are fixed, so a guest that asks again gets the same."""
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
OPTION6 = "option6:"
OPTION = re.compile(rf"({OPTION6})?[a-z0-9-]{{1,64}}")
MICROSOFT_ROUTES = "249"
"""The number under which old Windows guests look for option 121."""


class Files(msgspec.Struct, frozen=True):
    """The files with the network's leases, by dnsmasq's own name for each."""

    hosts: str
    options: str
    names: str


def served(network: Network) -> list[Subnet]:
    """Subnets whose addresses DHCP hands out; those with SLAAC alone need none."""
    return [
        subnet
        for subnet in network.subnets
        if subnet.dhcp and (subnet.ip_version == 4 or subnet.ipv6_address_mode in ("dhcpv6-stateful", "dhcpv6-stateless"))
    ]


def configuration(network: Network, interface: str, user: str, runtime: Path, domain: str, dns: tuple[str, ...]) -> str:
    lines = [
        "port=53",
        "bind-dynamic",
        f"interface={interface}",
        "except-interface=lo",
        f"user={user}",
        "no-hosts",
        "no-resolv",
        "no-ping",
        "dhcp-authoritative",
        "leasefile-ro",
        "dhcp-lease-max=65536",
        "quiet-dhcp",
        "quiet-dhcp6",
        f"domain={domain}",
        f"local=/{domain}/",
        "expand-hosts",
        f"dhcp-option-force=option:mtu,{network.mtu}",
        f"dhcp-hostsfile={runtime}/hosts",
        f"dhcp-optsfile={runtime}/options",
        f"addn-hosts={runtime}/names",
        *(f"server={ipaddress.ip_address(server)}" for server in dns),
        *(subnet_range(subnet) for subnet in served(network)),
    ]
    return "\n".join([*lines, ""])


def subnet_range(subnet: Subnet) -> str:
    """A range that knows no strangers: `static` serves the listed hosts alone."""
    net = ipaddress.ip_network(subnet.cidr)
    size = net.netmask if net.version == 4 else net.prefixlen
    return f"dhcp-range=set:s{short(subnet.id)},{net.network_address},static,{size},{LEASE_TIME}"


def leases(network: Network, port: Port, domain: str) -> tuple[Files, dict[str, str]]:
    """The lease files, and what is wrong with those ports that had to be left out, by id."""
    failed: dict[str, str] = {}
    subnets = {subnet.id: subnet for subnet in served(network)}
    hosts, options, names = [], [line for each in subnets.values() for line in subnet_options(each, port)], []
    for lease in sorted(network.leases, key=lambda lease: lease.port_id):
        try:
            here = [ipaddress.ip_address(ip.address) for ip in lease.addresses if ip.subnet_id in subnets]
            hosts += [host(lease, address) for address in here]
            options += [lease_option(lease, name, value) for name, value in sorted(lease.options.items())]
            names += [f"{address} {name} {name}.{domain}" for address in here for name in (hostname(lease, address),)]
        except ValueError as error:
            failed[lease.port_id] = str(error)
    return Files(text(hosts), text(options), text(names)), failed


def host(lease: Lease, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    shown = f"[{address}]" if address.version == 6 else address
    return f"{mac(lease.mac)},set:p{short(lease.port_id)},{shown},{hostname(lease, address)},{LEASE_TIME}"


def hostname(lease: Lease, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The port's name where it can be one in DNS, else one from its address."""
    if HOSTNAME.fullmatch(lease.hostname):
        return lease.hostname.lower()
    return "host-" + str(address).replace(".", "-").replace("::", "-").replace(":", "-").strip("-")


def lease_option(lease: Lease, name: str, value: str) -> str:
    """One of a port's own options. Raises ValueError for what would end or leave its line."""
    if not OPTION.fullmatch(name) or not value.isprintable():
        raise ValueError(f"DHCP option {name!r} with value {value!r} cannot be handed out")
    whole = name if name.isdecimal() or name.startswith(OPTION6) else f"option:{name}"
    return f"tag:p{short(lease.port_id)},{whole},{value}"


def subnet_options(subnet: Subnet, port: Port) -> list[str]:
    own = next((ip.address for ip in port.fixed_ips if ip.subnet_id == subnet.id), None)
    tag = f"tag:s{short(subnet.id)}"
    dns = [str(ipaddress.ip_address(server)) for server in subnet.dns or ((own,) if own else ())]
    if subnet.ip_version == 6:
        return [f"{tag},option6:dns-server,{','.join(f'[{server}]' for server in dns)}"] if dns else []
    routes = host_routes(subnet, own)
    return [
        f"{tag},option:dns-server,{','.join(dns)}" if dns else f"{tag},option:dns-server",
        f"{tag},option:router,{ipaddress.ip_address(subnet.gateway)}" if subnet.gateway else f"{tag},option:router",
        *([f"{tag},option:classless-static-route,{routes}", f"{tag},{MICROSOFT_ROUTES},{routes}"] if routes else []),
    ]


def host_routes(subnet: Subnet, own: str | None) -> str:
    """Option 121. A guest that reads it disregards option 3, so the default route is in it too (RFC 3442)."""
    wanted = [(f"{METADATA}/32", own)] if own else []
    wanted += subnet.routes
    wanted += [("0.0.0.0/0", subnet.gateway)] if subnet.gateway else []
    return ",".join(f"{ipaddress.ip_network(net)},{ipaddress.ip_address(hop)}" for net, hop in wanted)


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def addresses(hosts: str) -> set[tuple[str, str]]:
    """The (MAC, address) pairs of a hosts file."""
    return {(parts[0], parts[2]) for line in hosts.splitlines() for parts in (line.split(","),)}
