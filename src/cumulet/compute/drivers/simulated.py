"""A hypervisor of which thousands fit in one process: it keeps books and runs nothing.

How slow and how faulty it is comes from a recipe.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cumulet.compute.drivers import qcow2
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
from cumulet.image.formats import Inspector
from cumulet.kernel import recipe

GIB = 1 << 30
LIVE = (Power.RUNNING, Power.PAUSED)
DISK_COUNTERS = ("read_bytes", "read_requests", "write_bytes", "write_requests", "errors")
NIC_COUNTERS = ("octets", "packets", "drop", "errors")


Call = t.Literal[
    "start", "stop", "reboot", "destroy", "pause", "unpause", "suspend", "resume", "update", "resize_disk", "snapshot",
    "console_log", "console_path", "statistics", "happen",
]  # fmt: skip


class Recipe(recipe.Recipe, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of a simulated host, and what befalls its calls."""

    vcpus: t.Annotated[int, msgspec.Meta(ge=1)] = 64
    memory_mib: t.Annotated[int, msgspec.Meta(ge=1)] = 262_144
    disk_gib: t.Annotated[int, msgspec.Meta(ge=1)] = 10_240
    calls: dict[Call | t.Literal["*"], recipe.Trouble] = {}


FAULTLESS = Recipe()


class Server(msgspec.Struct):
    """A simulated machine: its description, what it does, when it last started and how often."""

    machine: Machine
    power: Power
    since: float = 0
    boots: int = 0


class SimulatedDriver:
    """One simulated host. With `root` its machines survive the process, in the file `root/<host>.json`."""

    capabilities = Capabilities(name="simulated", serial_console=False, vnc_console=False)

    def __init__(self, host: str, recipe: Recipe = FAULTLESS, root: Path | None = None) -> None:
        self._host, self._recipe = host, recipe
        self._file = root / f"{host}.json" if root else None
        self._servers: dict[str, Server] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def open(self, on_power: PowerWatcher) -> None:
        self._on_power = on_power
        if self._file and self._file.exists():
            self._servers = msgspec.json.decode(self._file.read_bytes(), type=dict[str, Server])

    async def close(self) -> None:
        """Let go; the machines "run" on."""

    async def resources(self) -> Resources:
        return Resources(
            vcpus=self._recipe.vcpus,
            memory_mib=self._recipe.memory_mib,
            disk_gib=self._recipe.disk_gib,
            hypervisor_type="simulated",
            hypervisor_version=1_000_000,
            hypervisor_hostname=self._host,
            cpu_info={"arch": "x86_64", "vendor": "simulated", "model": "simulated", "features": [], "topology": {}},
            traits=("COMPUTE_NODE", "COMPUTE_VOLUME_ATTACH", "COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE"),
        )

    async def list(self) -> list[Found]:
        return [Found(id, server.power, server.machine.generation) for id, server in sorted(self._servers.items())]

    def unmade(self, machine: Machine) -> Sequence[RootDisk]:
        server = self._servers.get(machine.id)
        made = set(_files(server.machine)) if server else set()
        return [disk for name, disk in _files(machine).items() if name not in made]

    async def start(self, machine: Machine) -> None:
        async with self._call("start", machine.id):
            server = self._servers.setdefault(machine.id, Server(machine, Power.STOPPED))
            if server.power in (Power.STOPPED, Power.CRASHED):
                _boot(server)
            server.power = Power.RUNNING
            server.machine = msgspec.structs.replace(machine, running=True)

    async def stop(self, id: str, grace: float) -> None:
        async with self._call("stop", id):
            _set(self._server(id), Power.STOPPED)

    async def reboot(self, machine: Machine, hard: bool) -> None:
        async with self._call("reboot", machine.id):
            server = self._servers.setdefault(machine.id, Server(machine, Power.STOPPED))
            if hard or server.power != Power.RUNNING:
                server.machine = msgspec.structs.replace(machine, running=True)
            _boot(server)

    async def destroy(self, id: str) -> None:
        async with self._call("destroy", id):
            self._servers.pop(id, None)

    async def pause(self, id: str) -> None:
        async with self._call("pause", id):
            self._live(id, "paused").power = Power.PAUSED

    async def unpause(self, id: str) -> None:
        async with self._call("unpause", id):
            self._live(id, "unpaused").power = Power.RUNNING

    async def suspend(self, id: str) -> None:
        async with self._call("suspend", id):
            if self._server(id).power != Power.SUSPENDED:
                self._live(id, "suspended").power = Power.SUSPENDED

    async def resume(self, id: str) -> None:
        async with self._call("resume", id):
            server = self._server(id)
            if server.power not in (*LIVE, Power.SUSPENDED):
                raise DriverError(f"server {id} is not suspended: it has no saved memory to resume from")
            _set(server, Power.RUNNING)

    async def update(self, machine: Machine) -> None:
        async with self._call("update", machine.id):
            server = self._server(machine.id)
            server.machine = msgspec.structs.replace(machine, running=server.machine.running)

    async def resize_disk(self, id: str, disk: str, size_bytes: int) -> None:
        async with self._call("resize_disk", id):
            self._server(id)

    async def snapshot(self, id: str, path: str) -> None:
        async with self._call("snapshot", id):
            machine = self._server(id).machine
            if not machine.roots:
                raise DriverError(f"server {id} has no root disk on this host to take a snapshot of")
            part = Path(f"{path}.part")
            part.write_bytes(qcow2.empty(_disk_size(machine)))
            part.replace(path)

    async def console_log(self, id: str, lines: int | None) -> str:
        async with self._call("console_log", id):
            server = self._server(id)
            said = [f"[    0.000000] {server.machine.name}: boot {server.boots} on {self._host}"] if server.boots else []
            said += [f"[    0.{n}00000] {server.machine.name}: {step}" for n, step in _boot_steps(server)]
            return "".join(f"{line}\n" for line in (said if lines is None else said[max(0, len(said) - lines) :]))

    async def console_path(self, id: str, kind: str) -> str:
        async with self._call("console_path", id):
            self._server(id)
            raise DriverError(f"server {id} is simulated, it has no {kind} console")

    async def statistics(self, id: str) -> Statistics:
        async with self._call("statistics", id):
            server = self._live(id, "measured")
            disk: dict[str, int] = dict.fromkeys(DISK_COUNTERS, 0)
            nic = {f"{way}_{name}": 0 for way in ("rx", "tx") for name in NIC_COUNTERS}
            machine = server.machine
            return Statistics(
                uptime=int(time.time() - server.since),
                cpu_time=0,
                memory_mib=machine.memory_mib,
                memory_used_mib=0,
                disks={one.id: disk for one in (*machine.roots, *machine.volumes)},
                nics={one.port_id: nic for one in machine.nics},
            )

    async def happen(self, id: str, power: Power) -> None:
        """Let a guest do something of itself (power off, crash, stand still), and tell the watcher."""
        async with self._call("happen", id):
            server = self._live(id, "changed")
            if power == Power.STOPPED:
                _set(server, power)
            server.power = power
        await self._on_power(id, power)

    @asynccontextmanager
    async def _call(self, name: Call, id: str) -> AsyncIterator[None]:
        """One call for one machine: what the recipe has for it, then the books kept."""
        async with self._locks[id], self._recipe.call(name, f"{name} on {self._host}", DriverError):
            yield
            self._save()

    def _server(self, id: str) -> Server:
        if id not in self._servers:
            raise NoSuchMachine(f"there is no server {id} on this host")
        return self._servers[id]

    def _live(self, id: str, what: str) -> Server:
        server = self._server(id)
        if server.power not in LIVE:
            raise DriverError(f"server {id} is not running, so it cannot be {what}")
        return server

    def _save(self) -> None:
        """What has been done survives the process, though not the power of the host: that is simulated too."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_name(f"{self._file.name}.part")
        part.write_bytes(msgspec.json.encode(self._servers))
        part.replace(self._file)


def _files(machine: Machine) -> dict[str, RootDisk]:
    """What a host would make of images for a server, by the names that the files would have."""
    return {f"{disk.id}.{disk.epoch}": disk for disk in machine.roots} | {f"{image.image}": image for image in machine.boots}


def _boot_steps(server: Server) -> list[tuple[int, str]]:
    if not server.boots:
        return []
    machine = server.machine
    steps = [f"{machine.vcpus} processors, {machine.memory_mib} MiB of memory"]
    steps += [f"card {nic.mac}" for nic in machine.nics] + ["login:"]
    return list(enumerate(steps, 1))


def _disk_size(machine: Machine) -> int:
    """The size in bytes of the first root disk: as asked, else that of its image, where it can be read."""
    disk = machine.roots[0]
    if disk.size_gib or disk.source is None or disk.source.path is None:
        return max(1, disk.size_gib) * GIB
    try:
        return Inspector.of(Path(disk.source.path)).virtual_size
    except OSError:
        return GIB


def _boot(server: Server) -> None:
    server.boots += 1
    server.since = time.time()
    _set(server, Power.RUNNING)


def _set(server: Server, power: Power) -> None:
    server.power = power
    server.machine = msgspec.structs.replace(server.machine, running=power == Power.RUNNING)
