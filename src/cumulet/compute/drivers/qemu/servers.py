"""The servers of a host: their directories, and the guests that live of them. Callers hold the server's lock."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Container
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError, Machine, NoSuchMachine, Power
from cumulet.compute.drivers.qemu import copies, devices, disks, hotplug, launch
from cumulet.compute.drivers.qemu.boot import Host, boot, prepare, take_hold
from cumulet.compute.drivers.qemu.guest import Guest, OnChange
from cumulet.compute.drivers.qemu.qmp import QmpGone
from cumulet.compute.drivers.qemu.record import FILE, Record, load

log = logging.getLogger(__name__)


class Servers:
    """`guests` has every live guest that we hold a monitor of."""

    def __init__(self, host: Host, on_change: OnChange):
        self.host, self._on_change = host, on_change
        self.guests: dict[str, Guest] = {}

    def make_directory(self) -> None:
        """Where the servers' directories are: of the processes that are not root, the control plane's alone gets there."""
        self.host.servers.mkdir(parents=True, exist_ok=True)
        os.chown(self.host.servers, -1, self.host.control.gid)
        self.host.servers.chmod(0o710)

    def ids(self) -> list[str]:
        """Every server with a directory."""
        return sorted(os.listdir(self.host.servers))

    def directory(self, id: str) -> Path:
        """Where everything of a server is."""
        return self.host.servers / id

    def record(self, id: str) -> Record:
        """What is kept of a server. Raises NoSuchMachine."""
        record = load(self.directory(id))
        if record is None:
            raise NoSuchMachine(f"there is no server {id} on this host")
        return record

    def power(self, id: str, record: Record, processes: Container[str]) -> Power:
        """What a server is doing, `processes` being those that have one; one that should and has not has crashed."""
        if guest := self.guests.get(id):
            return guest.power
        if id in processes:
            return Power.RUNNING
        if self.memory(id).exists():
            return Power.SUSPENDED
        return Power.CRASHED if record.machine.running else Power.STOPPED

    def memory(self, id: str) -> Path:
        """Where a suspended guest's memory is."""
        return self.directory(id) / copies.MEMORY

    def note(self, record: Record, running: bool) -> None:
        """Remember whether the server is to run."""
        record.machine = msgspec.structs.replace(record.machine, running=running)
        record.save(self.directory(record.machine.id))

    async def live(self, id: str) -> Guest | None:
        """The server's guest, found again if it runs unwatched. Raises QmpGone if its monitor does not answer."""
        if guest := self.guests.get(id):
            return guest
        process = launch.find(self.host.servers).get(id)
        if process is None:
            return None
        if self.memory(id).exists():
            # Cut off while suspending or resuming: the memory on disk is whole, and this guest has not run since.
            await process.kill()
            return None
        self.guests[id] = await take_hold(self.host, id, self.directory(id), process, self._on_change)
        return self.guests[id]

    async def need(self, id: str, what: str) -> Guest:
        """The server's guest. Raises DriverError if it does not run."""
        self.record(id)
        guest = await self.live(id)
        if guest is None:
            raise DriverError(f"server {id} is not running, so it cannot be {what}")
        return guest

    async def power_on(self, machine: Machine) -> Guest:
        """Start a server that has no process: from its saved memory where it has one, else afresh."""
        directory = self.directory(machine.id)
        directory.mkdir(exist_ok=True, mode=0o711)
        record = load(directory) or Record(machine=machine)
        resuming = self.memory(machine.id).exists()
        record.machine = msgspec.structs.replace(record.machine if resuming else machine, running=True)
        record.save(directory)
        await disks.ready(directory, (record.booted or record.machine if resuming else machine).roots, self.host.images)
        if not resuming:
            await prepare(self.host, record, directory)
            record.booted = record.machine
            devices.forget_absent(record, directory)
        guest = await boot(self.host, record, directory, self._on_change, incoming=resuming)
        self.guests[machine.id] = guest
        if resuming:
            await self._wake(guest, directory)
        return guest

    async def bring_to(self, machine: Machine, guest: Guest | None) -> None:
        """Make a server's description `machine`, and its guest too as far as a running one can follow."""
        directory, record = self.directory(machine.id), self.record(machine.id)
        if guest is not None:
            await self._replug(guest, machine, record, directory)
            self.host.cgroups.apply(machine, guest.process.pid)
        record.machine = msgspec.structs.replace(machine, running=record.machine.running)
        record.save(directory)

    async def end(self, guest: Guest) -> None:
        """Cut a guest's power."""
        await guest.end()
        self.guests.pop(guest.id, None)

    def forget_memory(self, id: str) -> None:
        """Cut the power of a suspended guest."""
        self.memory(id).unlink(missing_ok=True)

    async def find_again(self, id: str) -> None:
        """Take hold of a guest after a restart of ours; remove a directory that a crash left without record."""
        try:
            guest = await self.live(id)
        except (DriverError, OSError) as error:
            log.error("server %s runs, but cannot be taken hold of: %s", id, error)
            return
        if guest is None and not (self.directory(id) / FILE).exists():
            await asyncio.to_thread(shutil.rmtree, self.directory(id), ignore_errors=True)
            self.host.cgroups.remove(id)

    async def _wake(self, guest: Guest, directory: Path) -> None:
        try:
            await copies.load_memory(guest, directory)
        except QmpGone:
            self.guests.pop(guest.id, None)
            said = (directory / "qemu.log").read_text(errors="replace").strip()[-1000:]
            raise DriverError(f"server {guest.id} could not be resumed: {said}") from None

    async def _replug(self, guest: Guest, machine: Machine, record: Record, directory: Path) -> None:
        """Plug and unplug what differs, and set the limits."""
        before = record.booted or machine
        q35 = devices.is_q35(before)
        out, volumes, nics = hotplug.differing(before, machine, await hotplug.plugged(guest))
        try:
            for device in sorted(out):
                await hotplug.unplug(guest, device)
                record.release(device)
            for volume in volumes:
                await hotplug.plug_drive(guest, devices.volume_drive(volume), record, directory, q35)
            for nic in nics:
                await hotplug.plug_nic(guest, nic, record, directory, q35, self.host.open_tap)
        finally:
            after = record.booted = hotplug.merged(before, machine, await hotplug.plugged(guest))
            record.save(directory)
        limits = {disk.id: disk.throttle for disk in (*machine.roots, *machine.volumes)}
        for drive in devices.drives(after, directory):
            if drive.key in limits:
                await hotplug.throttle(guest, msgspec.structs.replace(drive, throttle=limits[drive.key]))
