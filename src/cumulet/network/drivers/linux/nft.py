"""Putting rules in force in a namespace in one transaction, and only where they are not in force already."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from cumulet.kernel import process
from cumulet.network.drivers.linux import namespaces, netlink

NFT_MSG_GETGEN = 10 << 8 | 16
NFTA_GEN_ID = 1


class Tables:
    """What nft was last given, for each namespace (None is the host's own)."""

    def __init__(self) -> None:
        self._in_force: dict[str | None, tuple[str, int]] = {}

    async def put(self, namespace: str | None, text: str, after: Callable[[], object] = lambda: None) -> None:
        """Make `text` the rules, then call `after` in the namespace. Raises CommandFailed with what nft said.

        The kernel numbers every change of a namespace's rules, so a table that someone took away is noticed.
        The rules count as in force once `after` has come to its end.
        """
        if self._in_force.get(namespace) == (text, namespaces.inside(namespace, generation)):
            return
        self.forget(namespace)
        await process.run(*namespaces.command(namespace, "nft", "-f", "-"), input=text)
        now = namespaces.inside(namespace, generation)
        await asyncio.to_thread(namespaces.inside, namespace, after)
        self._in_force[namespace] = text, now

    def forget(self, namespace: str | None) -> None:
        self._in_force.pop(namespace, None)


def generation() -> int:
    """The number of the last change of nft rules in the calling thread's namespace."""
    for payload in netlink.request(netlink.NETFILTER, NFT_MSG_GETGEN, struct.pack("=BBH", 0, 0, 0), flags=0):
        return int.from_bytes(netlink.attributes(payload[4:])[NFTA_GEN_ID], "big")
    raise netlink.NetlinkError("the kernel did not tell its nft generation")
