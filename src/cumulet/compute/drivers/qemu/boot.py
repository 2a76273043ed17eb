"""Making a server's directory whole and starting its QEMU there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.compute.drivers import configdrive
from cumulet.compute.drivers.base import DriverError, Throttle
from cumulet.compute.drivers.qemu import command, console, devices, disks, hotplug, kernel
from cumulet.compute.drivers.qemu.accounts import Account, Accounts
from cumulet.compute.drivers.qemu.cgroup import Cgroups
from cumulet.compute.drivers.qemu.guest import MONITOR, Guest, OnChange
from cumulet.compute.drivers.qemu.launch import spawn
from cumulet.compute.drivers.qemu.qmp import QmpGone, listen_unix
from cumulet.compute.drivers.qemu.record import Record
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel.held import Process

SERIAL, SCREEN = "serial.sock", "vnc.sock"


class Host(msgspec.Struct, kw_only=True):
    """What every guest of a driver shares. `control` is who may reach their consoles: the control plane's process."""

    servers: Path
    images: ImageCache
    cgroups: Cgroups
    accounts: Accounts
    control: Account
    accelerator: str
    open_tap: Callable[[str], int]


async def prepare(host: Host, record: Record, directory: Path) -> None:
    """Make the disks that are missing, fetch the kernel where there is one, and write the config drive anew."""
    if record.machine.properties.get("hw_firmware_type", "bios") != "bios":
        raise DriverError(f"server {record.machine.id}: this host boots by BIOS, the image asks for hw_firmware_type uefi")
    for disk in record.machine.roots:
        await disks.make_root(directory, disk, host.images)
    await kernel.prepare(directory, record.machine, host.images, host.accounts.give(directory).gid)
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
        argv += kernel.arguments(directory, machine, files)
        argv += _consoles(host, directory, files, incoming) + files.arguments
        argv += ["-S", "-incoming", "defer"] if incoming else []
        record.save(directory)
        process = spawn(argv, directory, files.numbers, host.accounts.give(directory))
    except OSError as error:
        raise DriverError(f"server {machine.id}: QEMU did not start: {error}") from None
    finally:
        files.close()
    guest = await _started(host, machine.id, directory, process, on_change)
    host.cgroups.apply(machine, process.pid)
    for drive in devices.drives(machine, directory):
        if drive.throttle != Throttle():
            await hotplug.throttle(guest, drive)
    return guest


async def _started(host: Host, id: str, directory: Path, process: Process, on_change: OnChange) -> Guest:
    try:
        return await take_hold(host, id, directory, process, on_change)
    except QmpGone:
        await process.kill()
        said = (directory / "qemu.log").read_text(errors="replace").strip()[-1000:]
        raise DriverError(f"server {id}: QEMU did not start: {said or 'it ended without a word'}") from None


async def take_hold(host: Host, id: str, directory: Path, process: Process, on_change: OnChange) -> Guest:
    """Connect to a QEMU that runs, and hand it a socket for its screen. Raises QmpGone."""
    guest = await Guest.attach(id, directory, process, on_change)
    try:
        with _console(host, directory / SCREEN) as screen:
            await guest.qmp.execute("getfd", {"fdname": "screen"}, screen.fileno())
        await guest.qmp.execute("display-update", {"type": "vnc", "addresses": [{"type": "fd", "str": "screen"}]})
    except BaseException:
        guest.qmp.close()
        raise
    return guest


def _consoles(host: Host, directory: Path, files: command.Descriptors, append: bool) -> list[str]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC)
    log = files.open(directory / console.FILE, flags)
    monitor = files.keep(listen_unix(directory / MONITOR).detach())
    serial = files.keep(_console(host, directory / SERIAL).detach())
    return command.console_arguments(monitor, serial, log)


def _console(host: Host, path: Path) -> socket.socket:
    """A listening socket that the control plane's process can connect to."""
    listening = listen_unix(path)
    os.chown(path, host.control.uid, host.control.gid)
    return listening
