"""What a running server uses of its host, as the host counts it."""

from __future__ import annotations

import typing as t

import msgspec

from ... import network
from ...kernel.db import Row, Tx
from ...kernel.http import Conflict, Reply, Request
from .. import ADMIN, api
from ..drivers.base import Statistics
from ..hosts import compute_hosts
from . import states
from .ask import ask, found
from .find import target
from .tables import block_devices

SHOW = api.rule("os_compute_api:os-server-diagnostics", ADMIN, "Show what a server uses of its host.")

DRIVER = "libvirt"
"""What clients know the driver of QEMU's guests as, among the names that the API has."""
STATES = {states.RUNNING: "running", states.PAUSED: "paused", states.SHUTDOWN: "shutdown", states.CRASHED: "crashed",
          states.SUSPENDED: "suspended", states.NOSTATE: "pending"}  # fmt: skip
DISK = {"read_bytes": "read_bytes", "read_requests": "read_requests", "write_bytes": "write_bytes",
        "write_requests": "write_requests", "errors_count": "errors"}  # fmt: skip
OLD_DISK = {"read": "read_bytes", "read_req": "read_requests", "write": "write_bytes", "write_req": "write_requests", "errors": "errors"}
NIC = [f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "drop", "errors")]
OLD_NIC = {"rx": "rx_octets", "rx_packets": "rx_packets", "rx_drop": "rx_drop", "rx_errors": "rx_errors",
           "tx": "tx_octets", "tx_packets": "tx_packets", "tx_drop": "tx_drop", "tx_errors": "tx_errors"}  # fmt: skip


@api.op("GET", "/servers/{id}/diagnostics", policy=SHOW, target=target, errors=(404, 409))
async def show(request: Request, id: str) -> Reply:
    """Show what a running server uses; from 2.48 in a form that is the same whatever runs it."""
    row = await found(request, id)
    if row.power_state not in (states.RUNNING, states.PAUSED):
        raise Conflict(f"Cannot 'get_diagnostics' instance {id} while it is in power_state {STATES[row.power_state]}")
    counted = msgspec.convert(await ask(request, row, "compute.statistics"), Statistics)
    facts = await request.runtime.db.read(lambda tx: _Facts(tx, row))
    return Reply(_new(row, counted, facts) if request.version >= (2, 48) else _old(row, counted, facts))


class _Facts:
    """What the rows have to name the counters by."""

    def __init__(self, tx: Tx, row: Row):
        host = tx.get(compute_hosts, host=row.host)
        self.hypervisor = host.hypervisor_type.lower() if host else None
        self.macs = {card.port_id: card.mac for card in network.interfaces(tx, [row.id])[row.id]}
        disks = tx.rows(block_devices, server_id=row.id)
        self.devices = {_disk_id(disk): (disk.device_name or disk.id).removeprefix("/dev/") for disk in disks}


def _disk_id(disk: Row) -> str:
    """By what name the host knows a disk."""
    return disk.volume_id or ("root" if disk.boot_index == 0 else disk.id)


def _new(row: Row, counted: Statistics, facts: _Facts) -> dict[str, t.Any]:
    """Rates and the time of each processor by itself are not counted: null. Processor time is in nanoseconds, of all
    processors together; memory in MiB."""
    rates = {"rx_rate": None, "tx_rate": None}
    return {
        "state": STATES[row.power_state], "driver": DRIVER, "hypervisor": facts.hypervisor, "hypervisor_os": "linux",
        "uptime": counted.uptime, "config_drive": row.config_drive, "num_cpus": row.vcpus, "num_nics": len(counted.nics),
        "num_disks": len(counted.disks),
        "memory_details": {"maximum": counted.memory_mib, "used": counted.memory_used_mib},
        "cpu_details": [{"id": None, "time": int(counted.cpu_time * 1e9), "utilisation": None}],
        "nic_details": [
            {"mac_address": facts.macs.get(port), **{name: one.get(name) for name in NIC}, **rates}
            for port, one in counted.nics.items()
        ],
        "disk_details": [{name: one.get(ours) for name, ours in DISK.items()} for one in counted.disks.values()],
    }  # fmt: skip


def _old(row: Row, counted: Statistics, facts: _Facts) -> dict[str, t.Any]:
    """The form of libvirt's driver: one flat object. Memory is in KiB."""
    shown: dict[str, t.Any] = {"cpu_time": int(counted.cpu_time * 1e9), "memory": counted.memory_mib << 10,
                               "memory-actual": counted.memory_mib << 10, "memory-rss": counted.memory_used_mib << 10}  # fmt: skip
    for id, one in counted.disks.items():
        device = facts.devices.get(id, id)
        shown |= {f"{device}_{name}": one.get(ours) for name, ours in OLD_DISK.items()}
    for port, one in counted.nics.items():
        shown |= {f"tap{port[:11]}_{name}": one.get(ours) for name, ours in OLD_NIC.items()}
    return shown
