"""Listening sockets for metadata inside namespaces: made here, served by whoever is handed them."""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec

from cumulet.network.drivers.linux import namespaces
from cumulet.network.drivers.linux.dnsmasq import METADATA

PORT = 80
BACKLOG = 128

OnSocket = Callable[[str, socket.socket], None]
OnGone = Callable[[str], None]


class Place(msgspec.Struct, frozen=True):
    """Where a network's metadata is asked for: a namespace, and the leg that requests come in by."""

    namespace: str
    interface: str


class Metadata:
    """Which networks have a socket handed out, and in which incarnation of their namespace."""

    def __init__(self, on_socket: OnSocket, on_gone: OnGone):
        self._on_socket, self._on_gone = on_socket, on_gone
        self._open: dict[str, tuple[Place, int | None]] = {}

    def serve(self, places: dict[str, Place]) -> dict[str, str]:
        """Have a socket for each network; what failed, by network."""
        failed = {}
        for network_id, place in places.items():
            try:
                self._serve_one(network_id, place)
            except OSError as error:
                failed[network_id] = f"metadata cannot be served in {place.namespace}: {error}"
        return failed

    def keep(self, places: dict[str, Place]) -> None:
        """Withdraw the sockets that are in other places than these, before their namespaces go.

        They must be closed by their owner: an open one keeps a namespace alive.
        """
        for network_id in [id for id, (place, _) in self._open.items() if places.get(id) != place]:
            self._withdraw(network_id)

    def _serve_one(self, network_id: str, place: Place) -> None:
        here = (place, namespaces.identity(place.namespace))
        if self._open.get(network_id) != here:
            self._withdraw(network_id)
            self._on_socket(network_id, namespaces.inside(place.namespace, lambda: listen(place.interface)))
            self._open[network_id] = here

    def _withdraw(self, network_id: str) -> None:
        if self._open.pop(network_id, None):
            self._on_gone(network_id)


def listen(interface: str) -> socket.socket:
    """A socket for the requests of one leg. A router has several legs with this one address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        listener.bind((METADATA, PORT))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
