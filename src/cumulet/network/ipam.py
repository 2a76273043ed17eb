"""Address arithmetic: what a subnet offers, which address a port gets, where a pool has room. Pure, and knows no rows.

Addresses are texts in their shortest form, pools are (first, last) pairs of numbers, both ends included.
"""

from __future__ import annotations

import ipaddress as ip
import itertools
import random
import typing as t

Network = ip.IPv4Network | ip.IPv6Network
Address = ip.IPv4Address | ip.IPv6Address
Pool = tuple[int, int]

BITS = {4: 32, 6: 128}
TRIES = 8


class Problem(ValueError):
    """What does not add up; `kind` is the network API's name for it."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind, self.message = kind, message


def network(text: str, version: int | None = None) -> Network:
    """A CIDR, host bits dropped. Raises Problem for what is none, or is of another version."""
    try:
        found = ip.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        found = None
    if found is None:
        raise Problem("InvalidInput", f"'{text[:64]}' is not a valid CIDR")
    if version is not None and found.version != version:
        raise Problem("InvalidInput", f"'{text}' is of IPv{found.version}, where IPv{version} is asked for")
    return found


def address(text: str, version: int | None = None) -> Address:
    """An IP address without scope. Raises Problem."""
    try:
        found = ip.ip_address(text)
        if "%" in text:
            raise ValueError
    except ValueError:
        raise Problem("InvalidInput", f"'{text[:64]}' is not a valid IP address") from None
    if version is not None and found.version != version:
        raise Problem("InvalidInput", f"'{text}' is of IPv{found.version}, where IPv{version} is asked for")
    return found


def usable(net: Network) -> Pool:
    """The addresses that hosts may have: without network and broadcast address of IPv4, and without the
    routers' anycast address of IPv6 (RFC 4291, 2.6.1), but all of the two smallest sizes (RFC 3021, RFC 6164)."""
    first, last = int(net[0]), int(net[-1])
    if net.num_addresses <= 2:
        return first, last
    return first + 1, last - 1 if net.version == 4 else last


def default_gateway(net: Network) -> str | None:
    """The first address, where the network has room for one beside its gateway."""
    return str(net[1]) if net.num_addresses > 1 else None


def default_pools(net: Network, gateway: str | None) -> list[Pool]:
    """All usable addresses except the gateway's."""
    first, last = usable(net)
    at = int(ip.ip_address(gateway)) if gateway and ip.ip_address(gateway) in net else None
    if at is None or not first <= at <= last:
        return [(first, last)]
    return [(a, b) for a, b in ((first, at - 1), (at + 1, last)) if a <= b]


def pools(net: Network, wanted: t.Sequence[tuple[str, str]]) -> list[Pool]:
    """Allocation pools as asked for, in order. Raises Problem where one is backwards, outside the usable
    addresses, or overlaps another."""
    first, last = usable(net)
    made = []
    for start, end in wanted:
        pool = int(address(start, net.version)), int(address(end, net.version))
        if pool[0] > pool[1]:
            raise Problem("InvalidAllocationPool", f"The allocation pool {start}-{end} is not valid.")
        if pool[0] < first or pool[1] > last:
            raise Problem("OutOfBoundsAllocationPool", f"The allocation pool {start}-{end} spans beyond the subnet cidr {net}.")
        made.append(pool)
    made.sort()
    for one, other in itertools.pairwise(made):
        if other[0] <= one[1]:
            names = [f"{text(p[0], net.version)}-{text(p[1], net.version)}" for p in (one, other)]
            raise Problem(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools: {names[0]} {names[1]} for subnet {net}.",
            )
    return made


def pool(first: str, last: str) -> Pool:
    """A pool from its addresses, which are known to be such."""
    return int(ip.ip_address(first)), int(ip.ip_address(last))


def pool_of(gateway: str, among: t.Sequence[Pool]) -> Pool | None:
    """The pool that would hand out the gateway's own address, if one does."""
    at = int(ip.ip_address(gateway))
    return next((pool for pool in among if pool[0] <= at <= pool[1]), None)


def text(number: int, version: int) -> str:
    return str(ip.IPv4Address(number) if version == 4 else ip.IPv6Address(number))


def size(among: t.Sequence[Pool]) -> int:
    return sum(last - first + 1 for first, last in among)


def candidates(among: t.Sequence[Pool], version: int, choose: random.Random, count: int = TRIES) -> list[str]:
    """Some addresses of the pools, at random, so that those who allocate at once seldom want the same."""
    total = size(among)
    return [_nth(among, choose.randrange(total), version) for _ in range(count)] if total else []


def first_free(among: t.Sequence[Pool], version: int, taken: t.Collection[str]) -> str | None:
    """The lowest address of the pools that is not taken."""
    used = {int(ip.ip_address(one)) for one in taken}
    for first, last in sorted(among):
        free = next((number for number in range(first, min(last, first + len(used)) + 1) if number not in used), None)
        if free is not None:
            return text(free, version)
    return None


def eui64(net: Network, mac: str) -> str:
    """The address that a host with this MAC gives itself by SLAAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    host = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return text(int(net[0]) | int.from_bytes(host), 6)


def new_mac(choose: random.Random) -> str:
    """A MAC of the range that clouds use for guests."""
    return "fa:16:3e:" + ":".join(f"{choose.randrange(256):02x}" for _ in range(3))


def merged(prefixes: t.Iterable[str]) -> list[str]:
    """Prefixes without overlaps and joined where they touch, in order."""
    nets = [network(prefix) for prefix in prefixes]
    return [str(net) for net in ip.collapse_addresses(t.cast("list[ip.IPv4Network]", nets))]


def room(prefixes: t.Iterable[str], taken: t.Iterable[str], length: int) -> str | None:
    """The first network of this length in the prefixes that overlaps none of those taken."""
    nets = sorted((network(one) for one in taken), key=lambda net: int(net[0]))
    step = None
    for prefix in map(network, prefixes):
        if length < prefix.prefixlen:
            continue
        step = 1 << (BITS[prefix.version] - length)
        start = int(prefix[0])
        for net in nets:
            if int(net[0]) < start + step and int(net[-1]) >= start:
                start = (int(net[-1]) // step + 1) * step
        if start + step - 1 <= int(prefix[-1]):
            return f"{text(start, prefix.version)}/{length}"
    return None


def within(prefixes: t.Iterable[str], net: Network) -> bool:
    """Whether one of the prefixes holds the whole network."""
    return any(p.version == net.version and net.subnet_of(t.cast(t.Any, p)) for p in map(network, prefixes))


def _nth(among: t.Sequence[Pool], n: int, version: int) -> str:
    for first, last in among:
        if n <= last - first:
            return text(first + n, version)
        n -= last - first + 1
    raise IndexError(n)
