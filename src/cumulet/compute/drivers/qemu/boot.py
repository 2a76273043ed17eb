"""Making a server's directory whole and starting its QEMU there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.compute.drivers import configdrive
from cumulet.compute.drivers.base import DriverError, Throttle
from cumulet.compute.drivers.qemu import command, console, devices, disks, hotplug
from cumulet.compute.drivers.qemu.cgroup import Cgroups
from cumulet.compute.drivers.qemu.guest import MONITOR, Guest, OnChange
from cumulet.compute.drivers.qemu.images import Images
from cumulet.compute.drivers.qemu.launch import Account, Process, spawn
from cumulet.compute.drivers.qemu.qmp import QmpGone, listen_unix
from cumulet.compute.drivers.qemu.record import Record

SERIAL, SCREEN = "serial.sock", "io/vnc.sock"


class Host(msgspec.Struct, kw_only=True):
    """What every guest of a driver shares."""

    servers: Path
    images: Images
    cgroups: Cgroups
    account: Account | None
    accelerator: str
    open_tap: Callable[[str], int]


async def prepare(host: Host, record: Record, directory: Path) -> None:
    """Make the disks that are missing and write the config drive anew."""
    if record.machine.properties.get("hw_firmware_type", "bios") != "bios":
        raise DriverError(f"server {record.machine.id}: this host boots by BIOS, the image asks for hw_firmware_type uefi")
    for disk in record.machine.roots:
        await disks.make_root(directory, disk, host.images)
    config = directory / devices.CONFIG_FILE
    if record.machine.config_drive is None:
        config.unlink(missing_ok=True)
    else:
        await configdrive.write(config, record.machine.config_drive)


async def boot(host: Host, record: Record, directory: Path, on_change: OnChange, incoming: bool = False) -> Guest:
    """Start the hardware that `record.booted` describes and take hold of it.

    With `incoming` the guest waits for its memory. Raises DriverError with what QEMU said.
    """
    machine = record.booted
    assert machine is not None
    files = command.Descriptors()
    try:
        argv = [command.QEMU, *command.accelerator_arguments(host.accelerator)]
        argv += await command.arguments(machine, record, directory, files, host.open_tap)
        argv += _consoles(host, directory, files, incoming) + files.arguments
        argv += ["-S", "-incoming", "defer"] if incoming else []
        record.save(directory)
        pid = await asyncio.to_thread(spawn, argv, directory, files.numbers, host.account)
    except OSError as error:
        raise DriverError(f"server {machine.id}: QEMU did not start: {error}") from None
    finally:
        files.close()
    guest = await _attach(machine.id, directory, pid, on_change)
    host.cgroups.apply(machine, pid)
    for drive in devices.drives(machine, directory):
        if drive.throttle != Throttle():
            await hotplug.throttle(guest, drive)
    return guest


async def _attach(id: str, directory: Path, pid: int, on_change: OnChange) -> Guest:
    try:
        return await Guest.attach(id, directory, pid, on_change)
    except QmpGone:
        await Process(pid).kill()
        said = (directory / "qemu.log").read_text(errors="replace").strip()[-1000:]
        raise DriverError(f"server {id}: QEMU did not start: {said or 'it ended without a word'}") from None


def _consoles(host: Host, directory: Path, files: command.Descriptors, append: bool) -> list[str]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC)
    log = files.open(directory / console.FILE, flags)
    monitor = files.keep(listen_unix(directory / MONITOR).detach())
    serial = files.keep(listen_unix(directory / SERIAL).detach())
    _give(directory / SERIAL, host.account)
    _make_screen_directory(directory, host.account)
    return command.console_arguments(monitor, serial, log)


def _make_screen_directory(directory: Path, account: Account | None) -> None:
    """The one place that QEMU writes to by name: it must make the socket of its screen itself."""
    screen = directory / SCREEN
    screen.parent.mkdir(exist_ok=True, mode=0o700)
    screen.unlink(missing_ok=True)
    _give(screen.parent, account)


def _give(path: Path, account: Account | None) -> None:
    """Consoles are reached by the control plane's process, which is the user that guests run as."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
