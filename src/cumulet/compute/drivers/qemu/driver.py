"""The QEMU driver: servers as directories, guests as processes that outlive us, QMP in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from cumulet.compute.drivers.base import (
    Capabilities,
    DriverError,
    Found,
    Machine,
    NoSuchMachine,
    Power,
    PowerWatcher,
    Resources,
    RootDisk,
    Statistics,
)
from cumulet.compute.drivers.qemu import console, copies, devices, kernel, launch, probe, survey
from cumulet.compute.drivers.qemu.accounts import Account, Accounts
from cumulet.compute.drivers.qemu.boot import SCREEN, SERIAL, Host
from cumulet.compute.drivers.qemu.cgroup import Cgroups
from cumulet.compute.drivers.qemu.disks import check_name, ready, root_path
from cumulet.compute.drivers.qemu.guest import Guest
from cumulet.compute.drivers.qemu.record import FILE
from cumulet.compute.drivers.qemu.servers import Servers
from cumulet.compute.drivers.qemu.tap import open_tap
from cumulet.image.drivers.cache import ImageCache

TRIM_SECONDS = 5
"""How often console logs are looked at for having grown too long."""

log = logging.getLogger(__name__)


class QemuDriver:
    """The guests of one host. Calls for one machine wait for each other; `destroy` cuts a snapshot short."""

    capabilities = Capabilities(name="qemu")

    def __init__(self, root: Path, host: str, tap: Callable[[str], str], user: str, uids: range, images: ImageCache,
                 accelerator: str = "auto") -> None:  # fmt: skip
        """`tap` names the tap device of a port; `user` may reach the consoles; each guest runs as one of `uids`; disks stand on the
        files of `images`, which is told by `disks.standing_on(root / "servers")` of which."""
        root = root.resolve()
        self.accelerator_reason = ""
        self._root, self._name, self._wanted, self._tap, self._uids = root, host, accelerator, tap, uids
        host_parts = Host(
            servers=root / "servers",
            images=images,
            cgroups=Cgroups(root),
            accounts=Accounts(root / "servers", uids),
            control=Account.of(user),
            accelerator="tcg",
            open_tap=lambda port: open_tap(tap(port)),
        )
        self._version = survey.Version(0, "")
        self._servers = Servers(host_parts, self._changed)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._copying: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, on_power: PowerWatcher) -> None:
        """Find the guests that still run, remove what a crash left half-made, choose the accelerator."""
        self._on_power = on_power
        self._servers.make_directory()
        self._version = await survey.qemu_version()
        found = await probe.choose(self._root, self._wanted, Account.of_guest(self._uids[0]), self._version.text)
        self._servers.host.accelerator, self.accelerator_reason = found.name, found.reason
        for id in self._servers.ids():
            async with self._locks[id]:
                await self._servers.find_again(id)
        self._spawn(self._trim_logs())

    async def close(self) -> None:
        """Let go of the guests; they run on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for guest in self._servers.guests.values():
            guest.qmp.close()
        self._servers.guests.clear()

    async def resources(self) -> Resources:
        return survey.resources(self._name, self._root, self._version)

    async def list(self) -> list[Found]:
        found, processes = [], launch.find(self._servers.host.servers)
        for id in self._servers.ids():
            try:
                record = self._servers.record(id)
                found.append(Found(id, self._servers.power(id, record, processes), record.machine.generation))
            except NoSuchMachine:
                continue
            except DriverError as error:
                log.error("%s", error)
                found.append(Found(id, Power.CRASHED, -1))
        return found

    def unmade(self, machine: Machine) -> Sequence[RootDisk]:
        check_name(machine.id, "server id")
        directory = self._servers.directory(machine.id)
        disks = [disk for disk in machine.roots if not root_path(directory, disk).exists()]
        return disks + [image for image in machine.boots if not kernel.path_of(directory, image).exists()]

    async def start(self, machine: Machine) -> None:
        check_name(machine.id, "server id")
        async with self._locks[machine.id]:
            guest = await self._servers.live(machine.id)
            if guest is not None and guest.power in (Power.STOPPED, Power.CRASHED):
                await self._servers.end(guest)
                guest = None
            if guest is None:
                guest = await self._servers.power_on(machine)
            elif guest.power == Power.PAUSED:
                await guest.run()
            await self._servers.bring_to(machine, guest)

    async def stop(self, id: str, grace: float) -> None:
        async with self._locks[id]:
            record = self._servers.record(id)
            # Noted first: a guest that ends after this did not crash.
            self._servers.note(record, running=False)
            if guest := await self._servers.live(id):
                await guest.shut_down(grace)
                self._servers.guests.pop(id, None)
            self._servers.forget_memory(id)

    async def reboot(self, machine: Machine, hard: bool) -> None:
        check_name(machine.id, "server id")
        async with self._locks[machine.id]:
            guest = await self._servers.live(machine.id)
            if guest is not None and not hard and guest.power == Power.RUNNING:
                await guest.reset()
                return
            if guest is not None:
                await self._servers.end(guest)
            self._servers.forget_memory(machine.id)
            await self._servers.power_on(machine)

    async def destroy(self, id: str) -> None:
        check_name(id, "server id")
        if guest := self._servers.guests.get(id):
            await guest.kill()
        if copying := self._copying.get(id):
            copying.cancel()
        async with self._locks[id]:
            self._servers.guests.pop(id, None)
            if process := launch.find(self._servers.host.servers).get(id):
                await process.kill()
            self._servers.host.cgroups.remove(id)
            # Without its record a directory is a leftover, which `open` clears should we be cut off here.
            (self._servers.directory(id) / FILE).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.rmtree, self._servers.directory(id))

    async def pause(self, id: str) -> None:
        async with self._locks[id]:
            guest = await self._servers.need(id, "paused")
            if guest.power != Power.PAUSED:
                await guest.pause()

    async def unpause(self, id: str) -> None:
        async with self._locks[id]:
            guest = await self._servers.need(id, "unpaused")
            if guest.power != Power.RUNNING:
                await guest.run()

    async def suspend(self, id: str) -> None:
        async with self._locks[id]:
            guest = await self._servers.live(id)
            if guest is None and self._servers.memory(id).exists():
                return
            guest = await self._servers.need(id, "suspended")
            await copies.save_memory(guest, self._servers.directory(id))
            self._servers.guests.pop(id, None)

    async def resume(self, id: str) -> None:
        async with self._locks[id]:
            guest, record = await self._servers.live(id), self._servers.record(id)
            if guest is None:
                if not self._servers.memory(id).exists():
                    raise DriverError(f"server {id} is not suspended: it has no saved memory to resume from")
                guest = await self._servers.power_on(record.machine)
            elif guest.power == Power.PAUSED:
                await guest.run()
            await self._servers.bring_to(record.machine, guest)

    async def update(self, machine: Machine) -> None:
        check_name(machine.id, "server id")
        async with self._locks[machine.id]:
            self._servers.record(machine.id)
            await self._servers.bring_to(machine, await self._servers.live(machine.id))

    async def resize_disk(self, id: str, disk: str, size_bytes: int) -> None:
        async with self._locks[id]:
            self._servers.record(id)
            if guest := await self._servers.live(id):
                where = {"node-name": devices.device_id("disk", disk), "size": size_bytes}
                await guest.qmp.execute("block_resize", where)

    async def snapshot(self, id: str, path: str) -> None:
        async with self._locks[id]:
            record, guest = self._servers.record(id), await self._servers.live(id)
            machine = record.booted or record.machine
            if not machine.roots:
                raise DriverError(f"server {id} has no root disk on this host to take a snapshot of")
            root = root_path(self._servers.directory(id), machine.roots[0])
            await ready(self._servers.directory(id), machine.roots, self._servers.host.images)
            node = devices.device_id("disk", machine.roots[0].id)
            copy = copies.copy_running(guest, root, node, Path(path)) if guest else copies.copy_stopped(root, Path(path))
            self._copying[id] = asyncio.ensure_future(copy)
            try:
                await asyncio.shield(self._copying[id])
            except asyncio.CancelledError:
                if not self._copying[id].cancelled():
                    self._copying[id].cancel()
                    raise
                raise DriverError(f"server {id} was destroyed while its snapshot was taken") from None
            finally:
                del self._copying[id]
                Path(f"{path}.part").unlink(missing_ok=True)

    async def console_log(self, id: str, lines: int | None) -> str:
        self._servers.record(id)
        return console.tail(self._servers.directory(id) / console.FILE, lines)

    async def console_path(self, id: str, kind: str) -> str:
        self._servers.record(id)
        if id not in self._servers.guests:
            raise DriverError(f"server {id} is not running, so it cannot be reached by its console")
        if kind not in ("serial", "vnc"):
            raise DriverError(f"there is no console of kind {kind}: serial or vnc")
        return str(self._servers.directory(id) / (SERIAL if kind == "serial" else SCREEN))

    async def statistics(self, id: str) -> Statistics:
        async with self._locks[id]:
            guest = await self._servers.need(id, "measured")
            record = self._servers.record(id)
            return await survey.statistics(guest, record.booted or record.machine, self._tap)

    def _changed(self, guest: Guest, power: Power) -> None:
        self._spawn(self._tell(guest, power))

    async def _tell(self, guest: Guest, power: Power) -> None:
        """Pass on what a guest did of itself; one that is off or gone is cleared away first."""
        async with self._locks[guest.id]:
            if self._servers.guests.get(guest.id) is not guest or guest.power != power:
                return
            if power == Power.STOPPED:
                self._servers.note(self._servers.record(guest.id), running=False)
            if power in (Power.STOPPED, Power.CRASHED):
                await self._servers.end(guest)
        await self._on_power(guest.id, power)

    async def _trim_logs(self) -> None:
        while True:
            for id in list(self._servers.guests):
                console.trim(self._servers.directory(id) / console.FILE)
            await asyncio.sleep(TRIM_SECONDS)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
