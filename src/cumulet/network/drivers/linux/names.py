"""Names of everything that one cloud owns on a host: the tag tells clouds on the same host apart."""

from __future__ import annotations

import re

from cumulet.kernel import ids

DIGITS = 9
"""Hex digits of an object's own part: with prefix and kind letter they fill the kernel's 15 characters."""


class Names:
    """Names that start with `c` and the cloud's four hex digits. `c`, because nft wants a letter first."""

    def __init__(self, tag: str):
        if not re.fullmatch(r"[0-9a-f]{4}", tag):
            raise ValueError(f"the tag of a cloud is four hex digits, not {tag!r}")
        self.prefix = "c" + tag
        self.table = self.prefix
        self.external_bridge = self.prefix + "bx"
        self.gateway = self.prefix + "gw"
        self.gateway_peer = self.prefix + "gp"
        self.any_bridge = self.prefix + "b*"
        self.any_tap = self.prefix + "t*"
        self.any_link = self.prefix + "*"

    def tap(self, port_id: str) -> str:
        return self._name("t", port_id)

    def bridge(self, network_id: str) -> str:
        return self._name("b", network_id)

    def vxlan(self, network_id: str) -> str:
        return self._name("x", network_id)

    def outer(self, port_id: str) -> str:
        """The end of a veth pair that is in the host, on a bridge."""
        return self._name("v", port_id)

    def inner(self, port_id: str) -> str:
        """The end of a veth pair that is in a DHCP or router namespace."""
        return self._name("i", port_id)

    def dhcp(self, network_id: str) -> str:
        return self._name("d", network_id)

    def router(self, router_id: str) -> str:
        return self._name("r", router_id)

    def owns(self, name: str) -> bool:
        """Whether a link or namespace found on the host belongs to this cloud."""
        return name.startswith(self.prefix)

    def _name(self, kind: str, id: str) -> str:
        return self.prefix + kind + short(id)


def short(id: str) -> str:
    return ids.tag(id, DIGITS)
