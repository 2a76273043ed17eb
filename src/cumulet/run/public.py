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
    taken = [network for _, network in _routes()]
    candidates = (ipaddress.ip_network(f"172.24.{third}.0/24") for third in range(4, 255))
    chosen = next(network for network in candidates if not any(network.overlaps(other) for other in taken))
    kept.write_text(f"{chosen}\n")
    return str(chosen)


def overlap(config: Config, layout: Layout) -> str | None:
    """What is wrong where another interface than this cloud's has the external network's addresses too."""
    kept = layout.agent / "public-network"
    if config.network != "linux" or not (config.public_network or kept.exists()):
        return None
    cidr = ipaddress.ip_network(public_cidr(config, layout))
    if cidr.version != 4:
        return None
    others = [name for name, route in _routes() if route.overlaps(cidr) and not name.startswith(f"c{layout.tag}")]
    return f"The external network {cidr} is also behind {', '.join(others)}: floating IPs will not be reached." if others else None


def gateway_of(cidr: str) -> str:
    """The machine's own address on the external network: the first."""
    return str(next(ipaddress.ip_network(cidr).hosts()))


def _routes() -> list[tuple[str, ipaddress.IPv4Network]]:
    """The networks that this machine has routes to, each behind an interface, the default apart: /proc/net/route has them
    as little-endian hex."""
    rows = [line.split() for line in Path("/proc/self/net/route").read_text().splitlines()[1:]]
    found = [(row[0], int(row[1], 16).to_bytes(4, "little"), int(row[7], 16).to_bytes(4, "little")) for row in rows]
    return [(name, ipaddress.IPv4Network((address, str(ipaddress.IPv4Address(mask))))) for name, address, mask in found if any(mask)]
