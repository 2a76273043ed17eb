"""The hosts: which services run on them and what they have, as their agents tell."""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.config import Config
from ..kernel.db import Row, Tx, table
from ..placement import Inventory, ensure_provider

SILENCE = dt.timedelta(seconds=60)
"""How long a service may be silent before it counts as down."""

# -- tables --------------------------------------------------------------------------------------------------------

compute_services = table(
    "compute_services",
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("binary", sa.String(255), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("disabled_reason", sa.String(255)),
    sa.Column("forced_down", sa.Boolean, nullable=False, default=False),
    sa.Column("last_seen", sa.DateTime),
    unique={("host", "binary"): "Service with host {host} binary {binary} exists."},
)
"""`number` is the id of before microversion 2.53."""

compute_hosts = table(
    "compute_hosts",
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("service_id", sa.String(64), sa.ForeignKey("compute_services.id", ondelete="CASCADE"), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mib", sa.Integer, nullable=False),
    sa.Column("disk_gib", sa.Integer, nullable=False),
    sa.Column("hypervisor_type", sa.String(255), nullable=False),
    sa.Column("hypervisor_version", sa.Integer, nullable=False),
    sa.Column("hypervisor_hostname", sa.String(255), nullable=False),
    sa.Column("host_ip", sa.String(64), nullable=False),
    sa.Column("cpu_info", sa.JSON, nullable=False),
    sa.Column("boot_time", sa.Float),
    unique={("host",): "Host {host} exists."},
)
"""A hypervisor; its id is also its resource provider's. `number` is the id of before microversion 2.53. `boot_time` is
when the host started, in seconds since 1970, where it says so."""

# -- what hosts tell -----------------------------------------------------------------------------------------------

COMPUTE = "nova-compute"
"""What clients know the service on a compute host as."""
DEFAULT_ZONE, INTERNAL_ZONE = "nova", "internal"
"""The availability zones of compute hosts that are in no other, and of services that run no servers."""
TRAITS = frozenset({"COMPUTE_NODE", "OWNER_NOVA"})
"""What every compute host is, besides what its driver says."""


class Told(msgspec.Struct, kw_only=True):
    """What a host says of itself: what it has in all, before ratios and reservations."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    hypervisor_type: str
    hypervisor_version: int
    hypervisor_hostname: str
    cpu_info: dict = {}
    host_ip: str = "127.0.0.1"
    boot_time: float | None = None
    traits: frozenset[str] = frozenset()


def host_seen(tx: Tx, config: Config, host: str, resources: dict[str, t.Any]) -> str:
    """Record that a compute host is there, with these resources (a driver's `Resources` as JSON values): its service,
    its hypervisor and its resource provider, whose id is returned. Raises msgspec.ValidationError."""
    told = msgspec.convert(resources, Told)
    service = service_seen(tx, host, COMPUTE)
    values = {name: getattr(told, name) for name in Told.__struct_fields__ if name != "traits"} | {"service_id": service.id}
    row = tx.get(compute_hosts, host=host)
    if row is None:
        row = tx.insert(compute_hosts, number=_next(tx, compute_hosts), host=host, **values)
    elif any(getattr(row, name) != value for name, value in values.items()):
        tx.update(compute_hosts, row.id, **values)
    ensure_provider(tx, row.id, told.hypervisor_hostname, _inventories(config, told), told.traits | TRAITS)
    return row.id


def service_seen(tx: Tx, host: str, binary: str) -> Row:
    """Record that a service showed signs of life just now."""
    row = tx.get(compute_services, host=host, binary=binary)
    if row is None:
        return tx.insert(compute_services, number=_next(tx, compute_services), host=host, binary=binary, last_seen=clock.now())
    tx.update(compute_services, row.id, last_seen=clock.now(), updated_at=row.updated_at)
    return row


def zone_of(service: Row, zones: t.Mapping[str, str]) -> str:
    """The availability zone of a service, by those that aggregates put hosts into; `internal` for what runs no servers."""
    return zones.get(service.host, DEFAULT_ZONE) if service.binary == COMPUTE else INTERNAL_ZONE


def is_up(service: Row) -> bool:
    """Whether a service was heard of lately and nobody declared it down."""
    return not service.forced_down and service.last_seen is not None and clock.now() - service.last_seen <= SILENCE


def _inventories(config: Config, told: Told) -> dict[str, Inventory]:
    sizes = {
        "VCPU": (told.vcpus, 0, config.cpu_ratio),
        "MEMORY_MB": (told.memory_mib, min(config.reserved_memory_mib, told.memory_mib), config.memory_ratio),
        "DISK_GB": (told.disk_gib, 0, config.disk_ratio),
    }
    return {
        name: Inventory(total=total, reserved=reserved, max_unit=total, allocation_ratio=ratio)
        for name, (total, reserved, ratio) in sizes.items()
        if total > 0
    }


def _next(tx: Tx, of: sa.Table) -> int:
    return (tx.scalar(sa.select(sa.func.max(of.c.number))) or 0) + 1
