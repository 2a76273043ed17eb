"""Plugging disks and cards into a running guest, and out of it.

What is plugged is asked of QEMU itself, so a change that was cut off half-way is finished by repeating it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError, Machine, Nic, Throttle, VolumeDisk
from cumulet.compute.drivers.qemu import devices, disks
from cumulet.compute.drivers.qemu.devices import Drive
from cumulet.compute.drivers.qemu.disks import Layer
from cumulet.compute.drivers.qemu.guest import Guest
from cumulet.compute.drivers.qemu.qmp import QmpError, heard
from cumulet.compute.drivers.qemu.record import Record

UNPLUG_SECONDS = 20
ASK_SECONDS = 2
"""How often the guest is asked to let go: one that is just booting does not hear the first time."""

RELEASE_SECONDS = 5
"""How long QEMU may hold the files of a device that is gone, while requests end."""


async def plugged(guest: Guest) -> set[str]:
    """The ids of the devices in the machine."""
    return {item["name"] for item in await guest.qmp.execute("qom-list", {"path": "/machine/peripheral"})}


async def plug_drive(guest: Guest, drive: Drive, record: Record, directory: Path, q35: bool) -> None:
    """Plug in a disk; its place is recorded first."""
    if drive.bus not in ("virtio", "scsi"):
        raise DriverError(f"volume {drive.key}: a disk on bus {drive.bus} cannot be plugged into a running server")
    controller = devices.scsi_device(record, q35) if drive.bus == "scsi" else None
    device = devices.drive_device(drive, record, q35)
    record.save(directory)
    if controller and devices.SCSI not in await plugged(guest):
        await guest.qmp.execute("device_add", controller)
    await remove_node(guest, drive.device)
    await add_node(guest, drive.device, drive.files, drive.read_only)
    await guest.qmp.execute("device_add", device)
    if drive.throttle != Throttle():
        await throttle(guest, drive)


async def plug_nic(guest: Guest, nic: Nic, record: Record, directory: Path, q35: bool, open_tap: Callable[[str], int]) -> None:
    """Plug in a network card on the tap of its port; its place is recorded first."""
    device = devices.nic_device(nic, record, q35)
    record.save(directory)
    net = device["netdev"]
    with contextlib.suppress(QmpError):
        await guest.qmp.execute("netdev_del", {"id": net})
    fd = open_tap(nic.port_id)
    try:
        await guest.qmp.execute("getfd", {"fdname": net}, fd)
    finally:
        os.close(fd)
    await guest.qmp.execute("netdev_add", {"type": "tap", "id": net, "fd": net, "vhost": False})
    await guest.qmp.execute("device_add", device)


async def unplug(guest: Guest, device: str) -> None:
    """Take a device out with what is behind it. Raises DriverError if the guest does not let go of it."""
    if device in await plugged(guest):
        await _ask_to_let_go(guest, device)
    if device.startswith("nic-"):
        with contextlib.suppress(QmpError):
            await guest.qmp.execute("netdev_del", {"id": f"net-{device}"})
    else:
        await remove_node(guest, device)


async def throttle(guest: Guest, drive: Drive) -> None:
    """Set a disk's I/O limits."""
    limits = drive.throttle
    arguments = {"bps": limits.total_bytes, "bps_rd": limits.read_bytes, "bps_wr": limits.write_bytes}
    arguments |= {"iops": limits.total_iops, "iops_rd": limits.read_iops, "iops_wr": limits.write_iops}
    await guest.qmp.execute("block_set_io_throttle", {"id": drive.backend, **arguments})


async def add_node(guest: Guest, node: str, files: list[Layer], read_only: bool = False) -> None:
    """Open a disk in QEMU, by descriptors sent over its monitor."""

    async def hand(path: Path, writable: bool) -> str:
        try:
            fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise DriverError(f"disk {path}: {error.strerror}") from None
        try:
            added = await guest.qmp.execute("add-fd", fd=fd)
        finally:
            os.close(fd)
        return f"/dev/fdset/{added['fdset-id']}"

    await guest.qmp.execute("blockdev-add", await disks.blockdev(node, files, read_only, hand))


def differing(now: Machine, wanted: Machine, present: set[str]) -> tuple[set[str], list[VolumeDisk], list[Nic]]:
    """Devices to take out, and volumes and cards to put in, to get from one description to the other.

    `present` is what is plugged, which after a crash may be neither. What the guest cannot see the change
    of (limits, boot order, MTU) does not count.
    """
    old = {device: identity for device, identity, _ in _pluggable(now)}
    new = {device: identity for device, identity, _ in _pluggable(wanted)}
    fixed = {devices.device_id("disk", disk.id) for disk in now.roots}
    kept = {device for device in new if old.get(device, new[device]) == new[device]}
    disks_and_cards = {device for device in present | old.keys() if device.startswith(("disk-", "nic-"))}
    missing = [one for device, _, one in _pluggable(wanted) if device not in kept & present]
    volumes = [one for one in missing if isinstance(one, VolumeDisk)]
    return disks_and_cards - fixed - kept, volumes, [one for one in missing if isinstance(one, Nic)]


def merged(now: Machine, wanted: Machine, present: set[str]) -> Machine:
    """The description of a guest on its way from one to the other, which has the devices `present`."""
    there = {device: one for device, _, one in (*_pluggable(now), *_pluggable(wanted)) if device in present}
    return msgspec.structs.replace(
        now,
        volumes=tuple(one for one in there.values() if isinstance(one, VolumeDisk)),
        nics=tuple(one for one in there.values() if isinstance(one, Nic)),
    )


def _pluggable(machine: Machine) -> list[tuple[str, object, VolumeDisk | Nic]]:
    """Device id, what the guest sees of it, and the description of every disk and card that can come and go."""
    found: list[tuple[str, object, VolumeDisk | Nic]] = [
        (devices.device_id("disk", one.id), (one.connection, one.bus, one.read_only), one) for one in machine.volumes
    ]
    return found + [(devices.device_id("nic", one.port_id), (one.mac, one.model), one) for one in machine.nics]


async def _ask_to_let_go(guest: Guest, device: str) -> None:
    deadline = time.monotonic() + UNPLUG_SECONDS
    with guest.qmp.listen() as events:
        while time.monotonic() < deadline:
            try:
                await guest.qmp.execute("device_del", {"id": device})
            except QmpError as error:
                if error.kind == "DeviceNotFound":
                    return
                if "in the process of unplug" not in error.said:
                    raise
            if await heard(events, "DEVICE_DELETED", ASK_SECONDS, device=device):
                return
    raise DriverError(
        f"server {guest.id}: the guest did not let go of {device} within {UNPLUG_SECONDS} s; it may be booting, "
        "hung or without PCI hot-plug"
    )


async def remove_node(guest: Guest, node: str) -> None:
    """Remove a block node, if it is there, with the file descriptors that only it used."""
    deadline = time.monotonic() + RELEASE_SECONDS
    while any(item["node-name"] == node for item in await guest.qmp.execute("query-named-block-nodes", {"flat": True})):
        try:
            await guest.qmp.execute("blockdev-del", {"node-name": node})
        except QmpError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    await _remove_unused_files(guest)


async def _remove_unused_files(guest: Guest) -> None:
    nodes = await guest.qmp.execute("query-named-block-nodes", {"flat": True})
    used = {node["file"].removeprefix("/dev/fdset/") for node in nodes}
    for fdset in await guest.qmp.execute("query-fdsets"):
        if str(fdset["fdset-id"]) not in used:
            await guest.qmp.execute("remove-fd", {"fdset-id": fdset["fdset-id"]})
