"""The agent: the one process that is root. It runs the drivers of its hosts and does what the bus brings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import msgspec

from ..compute.agent import register as register_compute
from ..compute.agent.metadata import MetadataServer, MetadataStore
from ..compute.agent.revive import revive
from ..compute.drivers.base import ComputeDriver, DriverError, Power
from ..image.agent import Pruning
from ..image.agent import register as register_image
from ..image.drivers.cache import ImageCache
from ..image.drivers.clones import Clones
from ..kernel.bus import AgentPort, Answer, Command, Event
from ..kernel.bus.agent import Commands, Ledger
from ..kernel.config import Config
from ..kernel.log import get_logger
from ..kernel.process import CommandFailed
from ..network.agent import register as register_network
from ..network.drivers.base import NetworkDriver, NetworkDriverError
from ..volume.agent import register as register_volume
from ..volume.drivers.base import VolumeDriver, VolumeDriverError
from . import StartError, recipes
from .layout import Layout, uid_of
from .public import gateway_of, public_cidr

log = get_logger("agent")
BEAT = 10.0
FAILURES = (DriverError, NetworkDriverError, VolumeDriverError, CommandFailed, OSError)


class Host:
    """One host: its drivers and commands."""

    def __init__(self, name: str, compute: ComputeDriver, network: NetworkDriver, volume: VolumeDriver, images: ImageCache,
                 ledger: Ledger, metadata: MetadataStore):  # fmt: skip
        self.name, self.compute, self.network, self.volume, self.images = name, compute, network, volume, images
        self.commands = Commands(ledger)
        register_compute(self.commands, compute, metadata, images)
        register_network(self.commands, network, metadata.addresses)
        register_volume(self.commands, volume)
        register_image(self.commands, images)


class Agent:
    """All hosts of one process: one real host, or many simulated ones."""

    def __init__(self, config: Config, layout: Layout):
        self.config, self.layout = config, layout
        self.store = MetadataStore(layout.metadata, config.user)
        self.metadata = MetadataServer(layout.metadata, config.user, self._password)
        self.recipes = recipes.read(config)
        self.images = ImageCache(layout.agent / "images", most_gib=config.image_cache_gib, days=config.image_cache_days)
        self.hosts: dict[str, Host] = {}
        self.hellos: list[Event] = []
        self._loop = asyncio.get_running_loop()
        cidr = public_cidr(config, layout)
        self.public = {"cidr": cidr, "gateway": gateway_of(cidr)}

    async def run(self, port: AgentPort, hosts: dict[str, Host]) -> None:
        """Open the drivers, then serve until told to end. Guests and networks stay as they are."""
        self.port, self.hosts = port, hosts
        try:
            for host in hosts.values():
                await self._open(host)
        except FAILURES as error:
            raise StartError(f"The agent cannot serve this host: {error}") from error
        try:
            await port.open(self._handle)
        except OSError as error:
            what = "The message server cannot be reached" if self.config.bus else f"{self.layout.agent_socket} cannot be listened on"
            raise StartError(f"{what}: {error}. Check `bus` in cumulet.toml, and `cumulet doctor`.") from None
        log.info("agent is up", hosts=len(hosts))
        beating = [asyncio.create_task(self._beat())]
        beating += [asyncio.create_task(Pruning(cache).run()) for cache in {host.images for host in hosts.values()}]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        for task in beating:
            task.cancel()
        await port.close()
        for host in hosts.values():
            await host.compute.close()
            await host.network.close()
        self.metadata.close()

    async def _open(self, host: Host) -> None:
        """Networks first, for guests have their taps in them; guests that should run do before anybody asks for any."""
        host.images.open()
        await host.network.open()
        await host.volume.open()
        await host.compute.open(lambda id, power, name=host.name: self._power(name, id, power))
        if self.config.hypervisor == "qemu":
            await revive(host.compute, self.layout.servers(host.name))
        self.hellos.append(await self._hello(host))

    async def _handle(self, command: Command) -> Answer:
        host = self.hosts.get(command.host)
        if host is None:
            return Answer(id=command.id, error="unknown", why=f"this agent has no host {command.host}")
        return await host.commands.handle(command)

    async def _hello(self, host: Host) -> Event:
        capacity = await host.volume.capacity()
        return Event(host=host.name, name="hello", data={
            "compute": msgspec.to_builtins(await host.compute.resources()),
            "volume": msgspec.to_builtins(capacity),
            "network": {"tunnel_address": self.config.tunnel_address, "kind": self.config.network, "public": self.public},
        })  # fmt: skip

    async def _power(self, host: str, id: str, power: Power) -> None:
        await self.port.emit(Event(host=host, name="power", data={"id": id, "power": str(power)}))

    def _password(self, id: str, password: str) -> None:
        """A guest posted its password; heard in a thread that is not the loop's."""
        event = Event(host=next(iter(self.hosts)), name="password", data={"id": id, "password": password})
        asyncio.run_coroutine_threadsafe(self.port.emit(event), self._loop)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self.metadata.check()
            await self.port.emit(Event(host=next(iter(self.hosts)), name="alive", data={"hosts": list(self.hosts)}))


def build(agent: Agent) -> dict[str, Host]:
    """The hosts that the configuration asks for."""
    config = agent.config
    names = [socket.gethostname()] if config.hypervisor == "qemu" else [f"simulated-{i + 1:04d}" for i in range(config.hosts)]
    return {name: host_of(agent, name) for name in names}


def host_of(agent: Agent, name: str) -> Host:
    """A host with the drivers of the configuration, not yet open."""
    root = agent.layout.agent / name
    root.mkdir(exist_ok=True)
    root.chmod(0o711)
    net = _network(agent, root)
    ledger = Ledger(root / "generations")
    images = _images(agent, name, root)
    return Host(name, _compute(agent, name, root, net, images), net, _volume(agent, name, images), images, ledger, agent.store)


def _images(agent: Agent, name: str, root: Path) -> ImageCache:
    """A host's own, or the one of this machine: simulated hosts have no disks of which each could have its own."""
    config = agent.config
    if config.hypervisor == "simulated":
        return agent.images
    from ..compute.drivers.qemu.disks import standing_on

    compute = _directory(root / "compute")
    directory = compute / "images"
    return ImageCache(
        directory, lambda: standing_on(compute / "servers"), most_gib=config.image_cache_gib, days=config.image_cache_days,
        clones=Clones(directory, config.image_clones, config.root, name),
    )  # fmt: skip


def _network(agent: Agent, root: Path) -> NetworkDriver:
    config, layout = agent.config, agent.layout
    if config.network == "simulated":
        from ..network.drivers.simulated import SimulatedDriver

        return SimulatedDriver(_directory(root / "network"), agent.recipes.network)
    from ..network.drivers.linux.driver import LinuxDriver
    from ..network.drivers.linux.hostlinks import PublicNet

    return LinuxDriver(
        _directory(root / "network"), layout.tag,
        public=PublicNet(name="public", cidr=agent.public["cidr"], gateway=agent.public["gateway"], uplink=config.public_uplink or None),
        tunnel_ip=config.tunnel_address or None, owner=uid_of(config.user),
        on_metadata_socket=agent.metadata.serve, on_metadata_gone=agent.metadata.gone,
    )  # fmt: skip


def _compute(agent: Agent, name: str, root: Path, net: NetworkDriver, images: ImageCache) -> ComputeDriver:
    config = agent.config
    if config.hypervisor == "simulated":
        from ..compute.drivers.simulated import SimulatedDriver

        return SimulatedDriver(name, agent.recipes.compute, _directory(root / "compute"))
    from ..compute.drivers.qemu.driver import QemuDriver

    return QemuDriver(_directory(root / "compute"), name, net.tap, config.user, config.guest_range, images, config.accelerator)


def _volume(agent: Agent, name: str, images: ImageCache) -> VolumeDriver:
    config, layout = agent.config, agent.layout
    if config.hypervisor == "simulated":
        from ..volume.drivers.simulated import SimulatedDriver

        return SimulatedDriver(agent.recipes.volume, layout.volumes / f"{name}.json")
    from ..volume.drivers.file import FileDriver

    return FileDriver(layout.volumes, images)


def _directory(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    path.chmod(0o711)
    return path


async def main(config: Config, layout: Layout) -> None:
    """Run the agent of this machine until a signal."""
    agent = Agent(config, layout)
    hosts = build(agent)
    if config.bus:
        from ..kernel.bus.amqp import AmqpPort

        port: AgentPort = AmqpPort(config.bus, list(hosts), lambda: agent.hellos)
    else:
        from ..kernel.bus.local import LocalPort

        port = LocalPort(layout.agent_socket, lambda: agent.hellos, {0, os.getuid(), uid_of(config.user)})
    with contextlib.suppress(asyncio.CancelledError):
        await agent.run(port, hosts)
