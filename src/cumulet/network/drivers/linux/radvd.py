"""What radvd is told to announce on a router's legs: pure text, see radvd.conf(5)."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from cumulet.network.drivers.base import Subnet

MODES = ("slaac", "dhcpv6-stateless", "dhcpv6-stateful")
INTERVAL = 30
"""Seconds between unasked announcements at most; a guest that starts asks for one."""


class Announced(msgspec.Struct, frozen=True):
    """A leg and the IPv6 subnets that are announced on it."""

    interface: str
    mtu: int
    subnets: tuple[Subnet, ...]


def announced(interface: str, mtu: int, subnets: list[Subnet]) -> Announced | None:
    """None where nothing is announced on the leg."""
    v6 = tuple(subnet for subnet in subnets if subnet.ip_version == 6 and subnet.ipv6_ra_mode in MODES)
    return Announced(interface, mtu, v6) if v6 else None


def configuration(legs: list[Announced]) -> str:
    return "".join(leg_text(leg) for leg in legs)


def leg_text(leg: Announced) -> str:
    modes = {subnet.ipv6_ra_mode for subnet in leg.subnets}
    lines = [
        f"interface {leg.interface} {{",
        "AdvSendAdvert on;",
        "MinRtrAdvInterval 10;",
        f"MaxRtrAdvInterval {INTERVAL};",
        f"AdvLinkMTU {leg.mtu};",
        f"AdvManagedFlag {flag('dhcpv6-stateful' in modes)};",
        f"AdvOtherConfigFlag {flag('dhcpv6-stateless' in modes)};",
    ]
    for subnet in leg.subnets:
        lines += [
            f"prefix {ipaddress.ip_network(subnet.cidr)} {{",
            "AdvOnLink on;",
            f"AdvAutonomous {flag(subnet.ipv6_ra_mode != 'dhcpv6-stateful')};",
            "};",
        ]
        lines += [f"RDNSS {ipaddress.ip_address(server)} {{ }};" for server in subnet.dns]
    return "\n".join([*lines, "};", ""])


def command(conf: Path, pid_file: Path) -> tuple[str, ...]:
    return (
        "radvd",
        f"--config={conf}",
        f"--pidfile={pid_file}",
        "--logmethod=logfile",
        f"--logfile={pid_file.with_suffix('.log')}",
        "--username=nobody",
    )


def flag(on: bool) -> str:
    return "on" if on else "off"
