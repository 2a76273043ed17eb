"""Network's commands on a host: its whole network, and what went through a port."""

from __future__ import annotations

import typing as t

from ...kernel.bus.agent import Commands
from ..drivers.base import Applied, HostNetwork, NetworkDriver

Owners = dict[str, dict[str, str]]
"""Whose an address is: network id -> address -> server id."""


def register(commands: Commands, driver: NetworkDriver, tell_owners: t.Callable[[Owners], None]) -> None:
    """Add every network command of one host. `tell_owners` is told whose the addresses are on the networks for which
    this host serves metadata."""

    async def apply(wanted: HostNetwork) -> Applied:
        tell_owners(_owners(wanted))
        return await driver.apply(wanted)

    async def statistics(port_id: str) -> dict[str, int]:
        return await driver.port_statistics(port_id)

    commands.add("network.apply", apply)
    commands.add("network.statistics", statistics)


def _owners(wanted: HostNetwork) -> Owners:
    return {
        network.id: {ip.address: lease.server_id for lease in network.leases if lease.server_id for ip in lease.addresses}
        for network in wanted.networks
        if network.dhcp_port
    }
