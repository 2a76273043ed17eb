"""A whole cloud in the test's process: the services, workers, and an agent with simulated drivers behind a local socket.

`World` is for the API tests of what needs hosts, and for the fault tests: `probe` is called round each step of each saga,
and each simulated host obeys a recipe.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

import msgspec

from cumulet.compute.agent.metadata import MetadataStore
from cumulet.compute.drivers.base import ComputeDriver, Power
from cumulet.compute.drivers.qemu.disks import standing_on
from cumulet.compute.drivers.simulated import Recipe
from cumulet.compute.drivers.simulated import SimulatedDriver as SimulatedCompute
from cumulet.image.cache.hosts import image_hosts
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel import clock, services
from cumulet.kernel.bus import AgentAway, Answer, Command, Event
from cumulet.kernel.bus.agent import Ledger
from cumulet.kernel.bus.local import LocalBus, LocalPort
from cumulet.kernel.testing.cloud import Caller, Cloud
from cumulet.kernel.work import Worker
from cumulet.kernel.work.tasks import next_due
from cumulet.network.drivers.simulated import SimulatedDriver as SimulatedNetwork
from cumulet.network.hosts import network_hosts
from cumulet.run.agent import Host
from cumulet.volume.drivers.simulated import SimulatedDriver as SimulatedVolume
from cumulet.volume.tables import backends

SERVICES = ("compute", "placement", "network", "image", "volume")
Probe = t.Callable[[str, str, str, int], t.Awaitable[None]]
MakeCompute = t.Callable[[str, Recipe, Path], ComputeDriver]
MakeImages = t.Callable[[str, Path], ImageCache]
RAW = bytes(1 << 20)
"""A raw image of 1 MiB."""


def image_cache(_: str, root: Path) -> ImageCache:
    """The cache of a host whose directory is `root`."""
    return ImageCache(root / "images", lambda: standing_on(root / "compute/servers"))


class World(Cloud):
    """hosts: how many simulated hosts there are. recipe: what befalls their hypervisors. compute: makes a host's
    hypervisor driver, where a simulated one will not do; images: makes its image cache, before that. probe: what the workers' probe does."""

    def __init__(self, url: str, data: str, *, hosts: int = 1, recipe: Recipe = Recipe(), compute: MakeCompute = SimulatedCompute,
                 images: MakeImages = image_cache, probe: Probe | None = None, config: dict[str, t.Any] | None = None):  # fmt: skip
        super().__init__(url, data, services.load(*SERVICES), config={"stop_grace_seconds": 0, **(config or {})})
        self.probe = probe
        self.root = Path(tempfile.mkdtemp(prefix="world-"))  # a socket's path is short, pytest's directories are not
        self._agent = lambda: _Agent(self.root, [f"host-{i + 1}" for i in range(hosts)], recipe, compute, images)
        self.agent = self._agent()
        self.runtime.bus = LocalBus([self.root / "agent.sock"])
        self.runtime.db.on_nudge = self.runtime.bus.nudge
        services.listen(self.runtime)
        self.admin = self.caller("/compute/v2.1", "admin")
        self.me = self.caller("/compute/v2.1")
        self.portal.call(self._open)

    def close(self) -> None:
        self.portal.call(self._close)
        super().close()
        shutil.rmtree(self.root, ignore_errors=True)

    # -- work ------------------------------------------------------------------------------------------------------

    def settle(self, patience: float = 10.0) -> None:
        """Run all work until none is left; what waits for its time is waited for. Raises TimeoutError after `patience` seconds."""
        self.portal.call(self._settle, patience)

    async def _settle(self, patience: float) -> None:
        ends = time.monotonic() + patience
        worker = Worker(self.runtime, self.probe)
        while True:
            await worker.drain()
            due = await self.runtime.db.read(next_due)
            if due is None:
                return
            if time.monotonic() > ends:
                raise TimeoutError("there is work that does not end")
            await asyncio.sleep(min(0.5, max(0.001, (due - clock.now()).total_seconds())))

    def until(self, true: t.Callable[[], t.Any], patience: float = 10.0) -> t.Any:
        """Wait for a condition; its value. Raises TimeoutError."""
        ends = time.monotonic() + patience
        while not (found := true()):
            if time.monotonic() > ends:
                raise TimeoutError("what was waited for did not come about")
            time.sleep(0.01)
        return found

    # -- things ----------------------------------------------------------------------------------------------------

    def flavor(self, id: str = "f1", **values: t.Any) -> str:
        """A flavor's id; made where there is none of that id."""
        if self.admin.get(f"/flavors/{id}").status_code == 404:
            body = {"id": id, "name": id, "ram": 64, "vcpus": 1, "disk": 1} | values
            assert self.admin.post("/flavors", {"flavor": body}).status_code == 200
        return id

    def image(self, name: str = "tiny", data: bytes = RAW, **values: t.Any) -> str:
        """The id of a new active, public image."""
        admin = self.caller("/image/v2", "admin")
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"} | values
        id = admin.post("/images", body).json()["id"]
        sent = admin("PUT", f"/images/{id}/file", content=data, headers={"Content-Type": "application/octet-stream"})
        assert sent.status_code == 204, sent.text
        return id

    def network(self, cidr: str = "10.0.0.0/24", name: str = "private", project: str = "p1", *, external: bool = False) -> str:
        """The id of a new network with a subnet."""
        owner = self.caller("/network/v2.0", "admin" if external else "member", project=project)
        id = owner.post("/networks", {"network": {"name": name, "router:external": external} if external else {"name": name}}).json()[
            "network"
        ]["id"]
        made = owner.post("/subnets", {"subnet": {"network_id": id, "ip_version": 6 if ":" in cidr else 4, "cidr": cidr}})
        assert made.status_code == 201, made.text
        return id

    def volume(self, size: int = 1, project: str = "p1", **values: t.Any) -> str:
        """The id of a new volume, available."""
        owner = self.caller("/volume/v3", project=project)
        answer = owner.post("/volumes", {"volume": {"size": size, **values}})
        assert answer.status_code == 202, answer.text
        self.settle()
        shown = owner.get(f"/volumes/{answer.json()['volume']['id']}").json()["volume"]
        assert shown["status"] == "available", shown
        return shown["id"]

    def boot(self, by: Caller | None = None, *, wait: bool = True, version: str | None = None, **values: t.Any) -> str:
        """The id of a new server: on a new tiny image and a network of its own unless `values` name others. wait: until
        it is ACTIVE."""
        body = {"name": "s", "flavorRef": self.flavor()} | values
        if "imageRef" not in body and "block_device_mapping_v2" not in body:
            body["imageRef"] = self.image()
        if "networks" not in body:
            body["networks"] = [{"uuid": self.network()}]
        answer = (by or self.me).post("/servers", {"server": body}, version=version)
        assert answer.status_code == 202, answer.text
        id = answer.json()["server"]["id"]
        if wait:
            self.settle()
            server = self.show(id)
            assert server["status"] == "ACTIVE", server
        return id

    def show(self, id: str, version: str | None = "compute 2.100") -> dict[str, t.Any]:
        """A server as administrators see it."""
        answer = self.admin.get(f"/servers/{id}", version=version)
        assert answer.status_code == 200, answer.text
        return answer.json()["server"]

    def power(self, id: str) -> Power | None:
        """What the server's machine does on whichever host it is; None where no host has it."""
        return next((m.power for m in self.machines() if m.id == id), None)

    def machines(self) -> list[t.Any]:
        """What all hosts have."""
        return self.portal.call(self.agent.machines)

    # -- starting and ending ---------------------------------------------------------------------------------------

    def restart_agent(self) -> None:
        """Have the agent end, and another begin."""
        self.portal.call(self._restart_agent)

    async def _restart_agent(self) -> None:
        await self.agent.close()
        self.agent = self._agent()
        await self.agent.open()
        async with asyncio.timeout(10):
            for host in self.agent.hosts:
                while not await self._hears(host):
                    await asyncio.sleep(0.05)

    async def _hears(self, host: str) -> bool:
        try:
            await self.runtime.bus.call(host, "image.cached", {})
            return True
        except AgentAway:
            return False

    async def _open(self) -> None:
        await self.agent.open()
        await self.runtime.bus.open()
        async with asyncio.timeout(10):
            while not await self.runtime.db.read(self._known):
                await asyncio.sleep(0.005)

    def _known(self, tx: t.Any) -> bool:
        from cumulet.compute.hosts import compute_services

        wanted = set(self.agent.hosts)
        return all(wanted <= {row.host for row in tx.rows(table)} for table in (compute_services, backends, network_hosts, image_hosts))

    async def _close(self) -> None:
        await self.runtime.bus.close()
        await self.agent.close()


class _Agent:
    """What `run.agent` makes of a configuration, without a process of its own."""

    def __init__(self, root: Path, names: list[str], recipe: Recipe, compute: MakeCompute, images: MakeImages):
        store = MetadataStore(_directory(root / "metadata"), pwd.getpwuid(os.getuid()).pw_name)
        self.hosts = {name: self._host(_directory(root / name), name, recipe, compute, images, store) for name in names}
        self.hellos: list[Event] = []
        self.port = LocalPort(root / "agent.sock", lambda: self.hellos, {os.getuid()})

    @staticmethod
    def _host(root: Path, name: str, recipe: Recipe, compute: MakeCompute, images: MakeImages, store: MetadataStore) -> Host:
        cache = images(name, root)
        return Host(
            name, compute(name, recipe, _directory(root / "compute")), SimulatedNetwork(root=_directory(root / "network")),
            SimulatedVolume(state=root / "volumes.json"), cache, Ledger(root / "generations"), store,
        )  # fmt: skip

    async def open(self) -> None:
        for host in self.hosts.values():
            host.images.open()
            await host.network.open()
            await host.volume.open()
            await host.compute.open(lambda id, power, name=host.name: self._power(name, id, power))
            self.hellos.append(Event(host=host.name, name="hello", data={
                "compute": msgspec.to_builtins(await host.compute.resources()),
                "volume": msgspec.to_builtins(await host.volume.capacity()),
                "network": {"tunnel_address": "", "kind": "simulated", "public": None},
            }))  # fmt: skip
        await self.port.open(self._handle)

    async def close(self) -> None:
        await self.port.close()
        for host in self.hosts.values():
            await host.compute.close()

    async def machines(self) -> list[t.Any]:
        return [machine for host in self.hosts.values() for machine in await host.compute.list()]

    async def _handle(self, command: Command) -> Answer:
        return await self.hosts[command.host].commands.handle(command)

    async def _power(self, host: str, id: str, power: Power) -> None:
        await self.port.emit(Event(host=host, name="power", data={"id": id, "power": str(power)}))


def _directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
