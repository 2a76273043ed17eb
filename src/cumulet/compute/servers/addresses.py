"""A server's addresses: how they look in every answer that has them, and `ips`."""

from __future__ import annotations

import typing as t

from ... import network
from ...kernel.db import Tx
from ...kernel.http import NotFound, Request
from .. import PROJECT_READER, api
from .find import find, target

INDEX = api.rule("os_compute_api:ips:index", PROJECT_READER, "List a server's addresses.")
SHOW = api.rule("os_compute_api:ips:show", PROJECT_READER, "Show a server's addresses on one network.")

Addresses = dict[str, list[dict[str, t.Any]]]
"""Name of a network -> the addresses on it."""


@api.op("GET", "/servers/{id}/ips", policy=INDEX, target=target, reply="addresses", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> Addresses:
    """List a server's addresses, by the names of the networks."""
    find(tx, request, id)
    return plain(addresses(network.interfaces(tx, [id])[id]))


@api.op("GET", "/servers/{id}/ips/{label}", policy=SHOW, target=target, errors=(404,))
def show(tx: Tx, request: Request, id: str, label: str) -> Addresses:
    """Show a server's addresses on the network of this name."""
    found = index(tx, request, id)
    if label not in found:
        raise NotFound("Instance is not a member of specified network")
    return {label: found[label]}


def addresses(cards: t.Sequence[t.Any]) -> Addresses:
    """The addresses of a server's cards, floating ones behind the fixed."""
    found: Addresses = {}
    for card in cards:
        entries = found.setdefault(card.network_name, [])
        for ip in card.addresses:
            kinds = [(ip.address, ip.version, "fixed"), *((floating, 4, "floating") for floating in ip.floating)]
            entries += [
                {"version": version, "addr": address, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": card.mac}
                for address, version, kind in kinds
            ]
    return found


def plain(found: Addresses) -> Addresses:
    """Addresses without what an extension added to them: version and address alone."""
    return {name: [{"version": one["version"], "addr": one["addr"]} for one in entries] for name, entries in found.items()}
