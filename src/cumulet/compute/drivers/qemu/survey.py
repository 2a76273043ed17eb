"""What the host has, and what its guests have used."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError, Machine, Resources, Statistics
from cumulet.compute.drivers.qemu import tap
from cumulet.compute.drivers.qemu.command import QEMU
from cumulet.compute.drivers.qemu.devices import device_id
from cumulet.compute.drivers.qemu.guest import Guest
from cumulet.kernel.process import CommandFailed, run

OLDEST = 7_001_000
"""7.1.0, the first that can be handed a socket for its screen."""

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
IMAGE_TYPES = ("QCOW2", "RAW", "VMDK", "VDI", "VHD", "VHDX", "ISO")
TRAITS = (
    *("COMPUTE_NODE", "COMPUTE_VOLUME_ATTACH", "COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE"),
    *("COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_IDE", "COMPUTE_STORAGE_BUS_SATA"),
    *("COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NET_VIF_MODEL_E1000", "COMPUTE_NET_VIF_MODEL_E1000E"),
    *("COMPUTE_NET_VIF_MODEL_RTL8139", "COMPUTE_GRAPHICS_MODEL_VGA"),
    *(f"COMPUTE_IMAGE_TYPE_{name}" for name in IMAGE_TYPES),
)
"""Traits by the names of os-traits that hold for every host of this driver."""


class Version(msgspec.Struct, frozen=True):
    """QEMU's version: as hypervisors report it (7.2.1 is 7002001), and in full."""

    number: int
    text: str


async def qemu_version() -> Version:
    """Ask QEMU for its version. Raises DriverError where it is not installed, or too old."""
    try:
        said = await run(QEMU, "--version")
    except CommandFailed as error:
        raise DriverError(f"this host cannot run guests: {error}; install qemu-system-x86") from None
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    major, minor, micro = map(int, match.groups()) if match else (0, 0, 0)
    version = Version(major * 1_000_000 + minor * 1000 + micro, said.splitlines()[0])
    if version.number < OLDEST:
        raise DriverError(f"this host cannot run guests: {version.text} is older than 7.1; upgrade qemu-system-x86")
    return version


def resources(host: str, root: Path, version: Version) -> Resources:
    """The processors, memory and disk of this host."""
    disk = os.statvfs(root)
    processor = _processor()
    return Resources(
        vcpus=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PHYS_PAGES") * PAGE >> 20,
        disk_gib=disk.f_blocks * disk.f_frsize >> 30,
        hypervisor_type="QEMU",
        hypervisor_version=version.number,
        hypervisor_hostname=host,
        cpu_info={
            "arch": os.uname().machine,
            "vendor": processor.get("vendor_id", ""),
            "model": processor.get("model name", ""),
            "features": processor.get("flags", "").split(),
            "topology": {"sockets": 1, "cores": os.cpu_count() or 1, "threads": 1, "cells": 1},
        },
        traits=TRAITS,
    )


async def statistics(guest: Guest, machine: Machine, tap_name: Callable[[str], str]) -> Statistics:
    """What a running guest has used, as its QEMU and the kernel count it."""
    fields = Path(f"/proc/{guest.process.pid}/stat").read_text().rpartition(") ")[2].split()
    # proc(5): utime, stime and starttime are fields 14, 15 and 22 of stat, of which two came before ")".
    started = int(fields[19]) / TICKS
    resident = int(Path(f"/proc/{guest.process.pid}/statm").read_text().split()[1]) * PAGE >> 20
    counters = tap.counters()
    nics = {nic.port_id: counters.get(tap_name(nic.port_id)) for nic in machine.nics}
    return Statistics(
        uptime=int(time.clock_gettime(time.CLOCK_BOOTTIME) - started),
        cpu_time=(int(fields[11]) + int(fields[12])) / TICKS,
        memory_mib=machine.memory_mib,
        memory_used_mib=resident,
        disks=await _disks(guest, machine),
        nics={port: tap.guest_view(numbers) for port, numbers in nics.items() if numbers},
    )


async def _disks(guest: Guest, machine: Machine) -> dict[str, dict[str, int]]:
    keys = {device_id("disk", disk.id): disk.id for disk in (*machine.roots, *machine.volumes)}
    found = {}
    for item in await guest.qmp.execute("query-blockstats"):
        device = item.get("qdev", "").removeprefix("/machine/peripheral/").partition("/")[0]
        if device in keys:
            found[keys[device]] = _disk_counters(item["stats"])
    return found


def _disk_counters(stats: dict) -> dict[str, int]:
    return {
        "read_bytes": stats["rd_bytes"],
        "read_requests": stats["rd_operations"],
        "write_bytes": stats["wr_bytes"],
        "write_requests": stats["wr_operations"],
        "errors": stats["failed_rd_operations"] + stats["failed_wr_operations"],
    }


def _processor() -> dict[str, str]:
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
