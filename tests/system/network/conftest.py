"""Hosts and guests, each in a namespace of its own. Needs root."""

from __future__ import annotations

import os

import pytest
from network_scene import Echo, Guest, Host


@pytest.fixture
def hosts(tmp_path):
    """A function that makes hosts; the first argument tells them apart."""
    made: list[Host] = []

    def make(name: str = "h1", **options) -> Host:
        made.append(Host(tmp_path / name, **options))
        return made[-1]

    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    yield make
    for host in reversed(made):
        host.end()


@pytest.fixture
def host(hosts):
    return hosts().open()


@pytest.fixture
def guests(tmp_path, hosts):
    """A function that starts a guest behind a port of a host."""
    made: list[Guest] = []

    def start(host: Host, port, interface: str | None = None, gateway: str | None = "10.0.0.1") -> Guest:
        made.append(Guest(host, port, tmp_path))
        if interface:
            made[-1].address(interface, gateway)
        return made[-1]

    yield start
    for guest in made:
        guest.end()


@pytest.fixture
def echoes():
    """A function that starts a TCP server in a namespace."""
    made: list[Echo] = []

    def start(namespace: str, port: int, name: bytes = b"hello") -> Echo:
        made.append(Echo(namespace, port, name))
        return made[-1]

    yield start
    for echo in made:
        echo.close()
