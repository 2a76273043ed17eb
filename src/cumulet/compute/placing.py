"""Putting a server on a host: what placement and the hosts say, as columns for the scheduler, and the claim."""

from __future__ import annotations

import math
import typing as t

import numpy as np
import sqlalchemy as sa

from .. import network, placement
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest
from .aggregates import metadata_of_hosts, zones_of_hosts
from .hosts import COMPUTE, compute_hosts, compute_services, is_up
from .scheduler import Ask, Hosts, NoValidHost, pick
from .server_groups import affinity
from .servers.tables import block_devices, nics, servers

USUAL = ("VCPU", "MEMORY_MB", "DISK_GB")
"""The resource classes that every server takes something of."""


def place(tx: Tx, server: Row, local_gib: int, *, zone: str | None = None, host: str | None = None,
          avoid: t.Collection[str] = (), flavor: dict | None = None, consumer: str | None = None) -> str:  # fmt: skip
    """Choose a host and claim what the server needs there, for `consumer` (the server itself, by default).
    Raises NoValidHost; BadRequest for a zone that there is not."""
    wanted = flavor or server.flavor
    resources = needs(wanted, local_gib)
    hosts, providers = _hosts(tx)
    if zone and zone not in hosts.zones:
        raise BadRequest(f"The requested availability zone is not available: {zone}")
    ask = _ask(tx, server, wanted, resources, zone, host, avoid)
    chosen = pick(hosts, ask)
    try:
        placement.claim(tx, consumer or server.id, providers[chosen], resources, server.project_id, server.user_id)
    except placement.NoCapacity as error:
        raise NoValidHost(f"No valid host was found. {error}") from None
    return hosts.names[chosen]


def settle_on_host(tx: Tx, server: Row, *, zone: str | None, host: str | None = None, avoid: t.Collection[str] = ()) -> None:
    """Put a server that is on no host on one, with its cards. Raises NoValidHost; BadRequest for a zone that there is not."""
    disks = tx.rows(block_devices, server_id=server.id, destination_type="local")
    chosen = place(tx, server, sum(disk.size_gib for disk in disks), zone=zone, host=host, avoid=avoid)
    tx.update(servers, server.id, host=chosen)
    for card in tx.rows(nics, server_id=server.id):
        network.bind_port(tx, card.port_id, host=chosen, device_id=server.id, device_owner="compute:nova")


def needs(flavor: dict, local_gib: int) -> dict[str, int]:
    """What a server takes of its host, in placement's classes. Raises BadRequest where the flavor asks for no amount."""
    wanted = {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["ram"], "DISK_GB": local_gib + math.ceil((flavor["swap"] or 0) / 1024)}
    for name, value in flavor["extra_specs"].items():
        kind, _, which = name.partition(":")
        if kind == "resources":
            if not value.isdecimal():
                raise BadRequest(f"Flavor {flavor['name']} cannot be used: its extra spec {name}={value} is no amount of a resource.")
            wanted[which] = int(value)
    return {name: amount for name, amount in wanted.items() if amount}


def _hosts(tx: Tx) -> tuple[Hosts, list[str]]:
    """Every compute host as the scheduler's columns, and their providers' ids in the same order."""
    services = {row.host: row for row in tx.rows(compute_services, binary=COMPUTE)}
    facts = {row.id: row for row in tx.rows(compute_hosts)}
    found = [p for p in placement.providers(tx) if p.id in facts and facts[p.id].host in services]
    names = [facts[p.id].host for p in found]
    zones, metadata = zones_of_hosts(tx), metadata_of_hosts(tx)
    return Hosts(
        names=names,
        enabled=np.array([not services[n].disabled and is_up(services[n]) for n in names], dtype=bool),
        free_vcpus=np.array([p.largest("VCPU") for p in found], dtype=np.int64),
        free_memory=np.array([p.largest("MEMORY_MB") for p in found], dtype=np.int64),
        free_disk=np.array([p.largest("DISK_GB") for p in found], dtype=np.int64),
        free_others=[{name: p.largest(name) for name in p.inventories if name not in USUAL} for p in found],
        zones=[zones.get(n, "nova") for n in names],
        traits=[frozenset(p.traits) for p in found],
        hypervisors=[facts[p.id].hypervisor_type for p in found],
        aggregates=[metadata.get(n, []) for n in names],
    ), [p.id for p in found]


def _ask(tx: Tx, server: Row, flavor: dict, resources: dict[str, int], zone: str | None, host: str | None,
         avoid: t.Collection[str]) -> Ask:  # fmt: skip
    hints, specs = server.scheduler_hints, flavor["extra_specs"]
    traits = {name.partition(":")[2]: value for name, value in specs.items() if name.startswith("trait:")}
    together, room = affinity(tx, server.id)
    return Ask(
        vcpus=resources.get("VCPU", 0), memory=resources.get("MEMORY_MB", 0), disk=resources.get("DISK_GB", 0),
        others={name: amount for name, amount in resources.items() if name not in USUAL}, zone=zone, host=host,
        required_traits=frozenset(name for name, value in traits.items() if value == "required"),
        forbidden_traits=frozenset(name for name, value in traits.items() if value == "forbidden"),
        same_as=_hosts_of(tx, hints.get("same_host")) | together,
        different_from=_hosts_of(tx, hints.get("different_host")), max_on_host=room,
        avoid=frozenset(avoid), extra_specs=specs,
    )  # fmt: skip


def _hosts_of(tx: Tx, ids: t.Any) -> frozenset[str]:
    """The hosts of the servers that a scheduler hint names, one or a list."""
    if not ids:
        return frozenset()
    wanted = [str(id) for id in (ids if isinstance(ids, list) else [ids])]
    found = tx.all(sa.select(servers.c.host).where(servers.c.id.in_(wanted)))
    return frozenset(row.host for row in found if row.host) or frozenset({"no such server"})
