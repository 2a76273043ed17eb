"""The command line of a guest's QEMU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import Machine
from cumulet.compute.drivers.qemu import devices, disks
from cumulet.compute.drivers.qemu.record import Record

QEMU = "qemu-system-x86_64"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
TRANSLATION_MIB = 32
"""Translated code kept by TCG; QEMU's default of 1 GiB is seldom used and costs memory for each guest."""

CPU = {"kvm": "host", "tcg": "max,la57=off"}
"""TCG's fifth level of page tables only makes guests slower."""

ACCELERATOR = {"kvm": "kvm", "tcg": f"tcg,tb-size={TRANSLATION_MIB}"}


class Descriptors:
    """Files and sockets that a QEMU about to start is handed, by number."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.arguments: list[str] = []

    def keep(self, fd: int) -> int:
        """Hand over an open descriptor; returns it."""
        self.numbers.append(fd)
        return fd

    def open(self, path: Path, flags: int) -> str:
        """Open a file for QEMU and return the name it has there."""
        fd = self.keep(os.open(path, flags | os.O_CLOEXEC, 0o600))
        self.arguments += ["-add-fd", f"fd={fd},set={fd}"]
        return f"/dev/fdset/{fd}"

    async def hand(self, path: Path, writable: bool) -> str:
        """Open a disk file for QEMU, as `disks.Hand`."""
        return self.open(path, os.O_RDWR if writable else os.O_RDONLY)

    def close(self) -> None:
        """Close our side, once QEMU has its own."""
        while self.numbers:
            os.close(self.numbers.pop())


async def arguments(machine: Machine, record: Record, directory: Path, files: Descriptors, open_tap: Callable[[str], int]) -> list[str]:
    """The hardware of a machine; its files and taps are opened into `files`."""
    q35 = devices.is_q35(machine)
    argv = ["-nodefaults", "-no-user-config", "-no-shutdown", "-display", "none", "-sandbox", SANDBOX]
    argv += ["-name", f"guest={machine.id}", "-uuid", machine.id, "-m", str(machine.memory_mib)]
    argv += ["-machine", f"{'q35' if q35 else 'pc'},usb=on,vmport=off", "-smp", str(machine.vcpus)]
    # Cloud images know by the product's name that they run on an OpenStack API and where their metadata is.
    argv += ["-smbios", "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,family=Virtual Machine"]
    argv[-1] += f",serial={machine.id},uuid={machine.id}"
    argv += ["-rtc", "base=utc", "-boot", "strict=on"]
    argv += _fixed_devices(q35)
    if devices.needs_scsi(machine) or f"pci/{devices.SCSI}" in record.places:
        argv += ["-device", _json(devices.scsi_device(record, q35))]
    for drive in devices.drives(machine, directory):
        argv += ["-blockdev", _json(await disks.blockdev(drive.device, drive.files, drive.read_only, files.hand))]
        argv += ["-device", _json(devices.drive_device(drive, record, q35))]
    for nic in machine.nics:
        device = devices.nic_device(nic, record, q35)
        argv += ["-netdev", f"tap,id={device['netdev']},fd={files.keep(open_tap(nic.port_id))},vhost=off"]
        argv += ["-device", _json(device)]
    return argv


def accelerator_arguments(accelerator: str) -> list[str]:
    """The processor, and what executes it: `kvm` or `tcg`."""
    return ["-accel", ACCELERATOR[accelerator], "-cpu", CPU[accelerator]]


def console_arguments(monitor: int, serial: int, log: str) -> list[str]:
    """Monitor, serial port (kept in a log) and screen; `monitor` and `serial` are listening sockets.

    The screen's socket is handed over by the monitor: no option takes an open one.
    """
    return [
        *("-chardev", f"socket,id=monitor,fd={monitor},server=on,wait=off", "-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=serial,fd={serial},server=on,wait=off,logfile={log},logappend=on"),
        *("-serial", "chardev:serial", "-vnc", "none"),
    ]


def _fixed_devices(q35: bool) -> list[str]:
    bus = "pcie.0" if q35 else "pci.0"
    fixed: list[dict] = [
        {"driver": "VGA", "bus": bus, "addr": "0x2"},
        {"driver": "virtio-rng-pci", "rng": "entropy", "bus": bus, "addr": "0x3"},
        {"driver": "virtio-balloon-pci", "id": "balloon", "bus": bus, "addr": "0x4"},
        {"driver": "usb-tablet"},
    ]
    if q35:
        fixed += [_root_port(number) for number in range(devices.ROOT_PORTS)]
    argv = ["-object", "rng-builtin,id=entropy"]
    for device in fixed:
        argv += ["-device", _json(device)]
    return argv


def _root_port(number: int) -> dict:
    slot, function = divmod(number, 8)
    return {
        "driver": "pcie-root-port",
        "id": f"port{number}",
        "bus": "pcie.0",
        "addr": f"{0x10 + slot:#x}.{function}",
        "multifunction": function == 0,
        "chassis": number + 1,
    }


def _json(device: dict) -> str:
    return msgspec.json.encode(device).decode()
