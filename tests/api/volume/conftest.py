from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from cumulet.kernel import services
from cumulet.kernel.bus import Answer, Command, Event
from cumulet.kernel.bus.agent import Commands, Ledger
from cumulet.kernel.bus.local import LocalBus, LocalPort
from cumulet.kernel.testing.cloud import Cloud
from cumulet.volume.agent import register
from cumulet.volume.drivers.simulated import Recipe, SimulatedDriver

HOST = "store-1"


class Store:
    """A host that keeps volumes: a real agent's port and commands round the simulated driver. `fail` switches failures on."""

    def __init__(self, root: Path):
        self.sockets = tempfile.TemporaryDirectory()
        self.path = Path(self.sockets.name) / "agent.sock"
        self._failures = root / "failures"
        self.driver = SimulatedDriver(Recipe(total_gib=100, fail_file=str(self._failures)))
        self.commands = Commands(Ledger(root / "generations"))
        register(self.commands, self.driver)
        self.hello: Event | None = None

    async def open(self) -> None:
        capacity = msgspec.to_builtins(await self.driver.capacity())
        self.port = LocalPort(self.path, lambda: [Event(host=HOST, name="hello", data={"volume": capacity})], {0, __import__("os").getuid()})
        await self.port.open(self._handle)

    async def _handle(self, command: Command) -> Answer:
        return await self.commands.handle(command)

    def fail(self, *lines: str) -> None:
        """Calls that fail from now on, as `create before`; none: all work."""
        self._failures.write_text("\n".join(lines))

    def holds(self) -> dict[str, list[str]]:
        return asyncio.run(self.driver.list())


@pytest.fixture
def store(tmp_path: Path):
    made = Store(tmp_path)
    yield made
    made.sockets.cleanup()


@pytest.fixture
def cloud(database_url: str, tmp_path: Path, store: Store):
    made = Cloud(database_url, str(tmp_path), services.load("volume", "image"))
    bus = LocalBus([store.path])
    made.runtime.bus, made.runtime.db.on_nudge = bus, bus.nudge
    services.listen(made.runtime)
    made.portal.call(store.open)
    made.portal.call(bus.open)
    admin = made.caller("/volume/v3", "admin")
    deadline = time.monotonic() + 5
    while not admin.get("/types").json()["volume_types"]:
        assert time.monotonic() < deadline, "the host did not come up"
        time.sleep(0.01)
    yield made
    made.portal.call(bus.close)
    made.portal.call(store.port.close)
    made.close()


@pytest.fixture
def me(cloud: Cloud):
    return cloud.caller("/volume/v3")


@pytest.fixture
def other(cloud: Cloud):
    return cloud.caller("/volume/v3", project="p2", user="u2")


@pytest.fixture
def admin(cloud: Cloud):
    return cloud.caller("/volume/v3", "admin", project="admin", user="admin")
