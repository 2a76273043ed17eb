"""The part of the filter that keeps a guest to its own addresses: nft rules for frames, before any bridge sees them.

Also here: every frame from a tap gets the tap's number as its mark, and on its way out that of the tap it
goes to, which is how the rules for packets (`ruleset.py`) know the port. Marks are cleared at the end.
A tap that the rules do not know passes nothing.

The rules are the same for all ports and look into sets, one entry for each address of a port: chains for
each port made nft six times slower (measured with 100 ports).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cumulet.network.drivers.base import Port
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.rules import Prefix, element, networks

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
FROM = "chain from { type filter hook prerouting priority filter; policy accept;"
TO = "chain to { type filter hook forward priority filter; policy accept;"
CLEAR = "chain clear { type filter hook postrouting priority filter; policy accept;"
HOST = "chain host { type filter hook input priority filter; policy accept;"
SENDER_MAC = "meta mark . ether saddr"
KEYS = {
    "own_ip4": "meta mark . ether saddr . ip saddr",
    "own_arp": "meta mark . arp saddr ether . arp saddr ip",
    "own_ip6": "meta mark . ether saddr . ip6 saddr",
    "own_target": "meta mark . @th,64,128",
}
"""What a guest says of itself: the senders of IPv4, ARP and IPv6, the target of a neighbour advertisement."""
BEFORE_ADDRESS = "icmpv6 type { 131, 132, 133, 135, 143 }"
"""What IPv6 sends from `::`: multicast reports, router solicitation, duplicate address detection."""
WITH_HEADER = ("meta l4proto != 0", "frag frag-off != 0")
"""Packets whose protocol can be seen, and later fragments. A first fragment without it (RFC 7112) could be anything."""


def bridge_table(names: Names, ports: list[Port], marks: Mapping[str, int]) -> str:
    """The `bridge` table. `marks` is the number of each tap, by name."""
    taps = {names.tap(port.id): port for port in ports}
    numbers = listed(f'"{tap}" : {marks[tap]}' for tap, port in taps.items() if port.port_security)
    verdicts = listed(f'"{tap}" : {"goto guest" if port.port_security else "accept"}' for tap, port in taps.items())
    known = f"oifname != {{ {listed(quoted(taps))} }} " if taps else ""
    ours = f'iifname "{names.any_link}"'
    lines = [
        f"table bridge {names.table} {{",
        *sender_rules({marks[tap]: port for tap, port in taps.items() if port.port_security}),
        *(FROM, f"{ours} meta mark set 0"),
        *([f"meta mark set iifname map {{ {numbers} }}"] if numbers else []),
        *([f"iifname vmap {{ {verdicts} }}"] if taps else []),
        *(f'iifname "{names.any_tap}" drop', "}"),
        *(TO, f"{ours} meta mark set 0", f'oifname "{names.any_tap}" {known}drop'),
        *([f"meta mark set oifname map {{ {numbers} }}"] if numbers else []),
        "}",
        *(CLEAR, f'oifname "{names.any_link}" meta mark set 0', "}"),
        *(HOST, f"{ours} drop", "}"),
        "}",
    ]
    return "\n".join([*lines, ""])


def listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def quoted(names: Iterable[str]) -> Iterable[str]:
    return (f'"{name}"' for name in names)


def sender_rules(ports: dict[int, Port]) -> list[str]:
    """What the guests may send, by mark. DHCP and IPv6 neighbour discovery start before there is an address."""
    single, wide = entries(ports)
    lines = [] if not ports else element_set("own_mac", SENDER_MAC, senders(ports), "")
    for name, key in KEYS.items():
        lines += element_set(name, key, single[name], "")
        lines += element_set(f"{name}_wide", key, wide[name], " flags interval;") if wide[name] else []

    def owned(name: str, verdict: str = "accept") -> list[str]:
        sets = [name, f"{name}_wide"] if wide[name] else [name]
        return [*(f"{KEYS[name]} @{each} {verdict}" for each in sets), "drop", "}"]

    return [
        *lines,
        *("chain arp_sender {", *owned("own_arp")),
        *("chain ip4_sender {", "udp sport 67 udp dport 68 drop", "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept"),
        *owned("own_ip4"),
        *("chain ip6_owner {", *owned("own_ip6")),
        *("chain advertiser {", *owned("own_target", "goto ip6_owner")),
        "chain ip6_sender {",
        "icmpv6 type { nd-router-advert, nd-redirect } drop",
        "udp sport 547 udp dport 546 drop",
        f"ip6 saddr :: {BEFORE_ADDRESS} accept",
        "icmpv6 type nd-neighbor-advert goto advertiser",
        *(f"{each} goto ip6_owner" for each in WITH_HEADER),
        *("drop", "}"),
        "chain guest {",
        *([f"{SENDER_MAC} != @own_mac drop"] if ports else []),
        "ether type vmap { ip : goto ip4_sender, ip6 : goto ip6_sender, arp : goto arp_sender }",
        *("drop", "}"),
    ]


def element_set(name: str, key: str, elements: list[str], flags: str) -> list[str]:
    return [f"set {name} {{ typeof {key};{flags}", *([f"elements = {{ {listed(elements)} }}"] if elements else []), "}"]


def senders(ports: dict[int, Port]) -> list[str]:
    return [f"{mark} . {each}" for mark, port in ports.items() for each in addresses(port)]


def entries(ports: dict[int, Port]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The entries of each set: single addresses, and prefixes, which nft keeps in slower sets."""
    both: tuple[dict[str, list[str]], ...] = ({name: [] for name in KEYS}, {name: [] for name in KEYS})
    for mark, port in ports.items():
        targets = set()
        for sender, owned in addresses(port).items():
            both[0]["own_arp"].append(f"{mark} . {sender} . 0.0.0.0")
            for net in owned:
                kind = both[net.num_addresses > 1]
                kind[f"own_ip{net.version}"].append(f"{mark} . {sender} . {element(net)}")
                if net.version == 4:
                    kind["own_arp"].append(f"{mark} . {sender} . {element(net)}")
                else:
                    targets.add(net)
        for net in networks(tuple(sorted(map(str, targets))), 6):
            both[net.num_addresses > 1]["own_target"].append(f"{mark} . {number(net)}")
    return both[0], both[1]


def number(net: Prefix) -> str:
    """A network as the numbers of its first and last address."""
    first, last = (f"{int(each):#034x}" for each in (net[0], net[-1]))
    return first if first == last else f"{first}-{last}"


def addresses(port: Port) -> dict[str, list[Prefix]]:
    """What a port may send from: MAC to networks, its link-local addresses included. Raises ValueError."""
    texts: dict[str, list[str]] = {mac(port.mac): [fixed.address for fixed in port.fixed_ips]}
    for pair in port.pairs:
        texts.setdefault(mac(pair.mac), []).append(pair.ip)
    return {each: [*networks(tuple(ips), 4), *networks((*ips, link_local(each)), 6)] for each, ips in texts.items()}


def mac(value: str) -> str:
    if not MAC.fullmatch(value.lower()):
        raise ValueError(f"{value!r} is not a MAC address")
    return value.lower()


@lru_cache(maxsize=1 << 14)
def link_local(mac: str) -> str:
    """The address that a guest makes from its MAC (RFC 4291, appendix A)."""
    high, low = mac.replace(":", "")[:6], mac.replace(":", "")[6:]
    first = int(high[:2], 16) ^ 2
    return f"fe80::{first:02x}{high[2:4]}:{high[4:]}ff:fe{low[:2]}:{low[2:]}"
