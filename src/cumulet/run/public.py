"""The external network's addresses: chosen once for a cloud, free on its machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from ..kernel.config import Config
from .layout import Layout


def public_cidr(config: Config, layout: Layout) -> str:
    """The configured CIDR, or the one chosen before, or the first of 172.24.4.0/24 to 172.24.254.0/24 that the
    machine has no route to."""
    if config.public_network:
        return str(ipaddress.ip_network(config.public_network))
    kept = layout.agent / "public-network"
    if kept.exists():
        return kept.read_text().strip()
    taken = _routed()
    candidates = (ipaddress.ip_network(f"172.24.{third}.0/24") for third in range(4, 255))
    chosen = next(network for network in candidates if not any(network.overlaps(other) for other in taken))
    kept.write_text(f"{chosen}\n")
    return str(chosen)


def gateway_of(cidr: str) -> str:
    """The machine's own address on the external network: the first."""
    return str(next(ipaddress.ip_network(cidr).hosts()))


def _routed() -> list[ipaddress.IPv4Network]:
    """The networks that this machine has routes to, the default apart: /proc/net/route has them as little-endian hex."""
    rows = [line.split() for line in Path("/proc/self/net/route").read_text().splitlines()[1:]]
    found = [(int(row[1], 16).to_bytes(4, "little"), int(row[7], 16).to_bytes(4, "little")) for row in rows]
    return [ipaddress.IPv4Network((address, str(ipaddress.IPv4Address(mask)))) for address, mask in found if any(mask)]
