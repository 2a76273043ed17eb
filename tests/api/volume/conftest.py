from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from cumulet.image.agent import register as register_images
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel import clock, services
from cumulet.kernel.bus import Answer, Command, Event
from cumulet.kernel.bus.agent import Commands, Ledger
from cumulet.kernel.bus.local import LocalBus, LocalPort
from cumulet.kernel.db import Tx, metadata
from cumulet.kernel.recipe import Trouble
from cumulet.kernel.testing.cloud import Cloud
from cumulet.volume.agent import register
from cumulet.volume.drivers.simulated import Recipe, SimulatedDriver
from cumulet.volume.hosts import DEFAULT_TYPE
from cumulet.volume.tables import backends, types

HOST = "store-1"


class Store:
    """A host that keeps volumes: a real agent's port and commands round the simulated driver. `fail` switches failures on."""

    def __init__(self, root: Path):
        self.sockets = tempfile.TemporaryDirectory()
        self.path = Path(self.sockets.name) / "agent.sock"
        self._failures = root / "failures"
        self.driver = SimulatedDriver(Recipe(total_gib=100, file=str(self._failures)))
        self.commands = Commands(Ledger(root / "generations"))
        register(self.commands, self.driver)
        register_images(self.commands, ImageCache(root / "images"))
        self.hello: Event | None = None

    async def open(self) -> None:
        capacity = msgspec.to_builtins(await self.driver.capacity())
        self.port = LocalPort(self.path, lambda: [Event(host=HOST, name="hello", data={"volume": capacity})], {0, os.getuid()})
        await self.port.open(self._handle)

    async def _handle(self, command: Command) -> Answer:
        return await self.commands.handle(command)

    def fail(self, *lines: str) -> None:
        """Calls that fail from now on, as `create before`; none: all work."""
        troubles = {name: Trouble(chance=1, after=when == "after") for name, when in map(str.split, lines)}
        new = self._failures.with_suffix(".new")
        new.write_bytes(msgspec.json.encode({"calls": troubles}))
        new.replace(self._failures)

    async def empty(self) -> None:
        self.fail()
        held = await self.driver.list()
        for id in held["volumes"]:
            await self.driver.delete(id)
        for id in held["snapshots"]:
            await self.driver.delete_snapshot(id)

    def holds(self) -> dict[str, list[str]]:
        return asyncio.run(self.driver.list())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.sockets.cleanup()


@pytest.fixture(scope="module")
def one_cloud(database_url: str, tmp_path_factory: pytest.TempPathFactory, store: Store):
    made = Cloud(database_url, str(tmp_path_factory.mktemp("cloud")), services.load("volume", "image"))
    bus = LocalBus([store.path])
    made.runtime.bus, made.runtime.db.on_nudge = bus, bus.nudge
    services.listen(made.runtime)
    made.portal.call(store.open)
    made.portal.call(bus.open)
    deadline = time.monotonic() + 5
    while not made.transact(lambda tx: tx.rows(backends)):
        assert time.monotonic() < deadline, "the host did not come up"
        time.sleep(0.01)
    yield made
    made.portal.call(bus.close)
    made.portal.call(store.port.close)
    made.close()


@pytest.fixture
def cloud(one_cloud: Cloud, store: Store):
    """A cloud with one host and nothing else; it is made once for a file of tests, which takes longer than most tests do."""
    yield one_cloud

    def empty(tx: Tx) -> None:
        for table in reversed(metadata.sorted_tables):
            if table is types:
                tx.execute(types.delete().where(types.c.name != DEFAULT_TYPE))
            elif table is not backends:
                tx.execute(table.delete())
        tx.update(backends, {"host": HOST}, disabled=False, last_seen=clock.now())

    one_cloud.portal.call(store.empty)
    one_cloud.transact(empty)


@pytest.fixture
def me(cloud: Cloud):
    return cloud.caller("/volume/v3")


@pytest.fixture
def other(cloud: Cloud):
    return cloud.caller("/volume/v3", project="p2", user="u2")


@pytest.fixture
def admin(cloud: Cloud):
    return cloud.caller("/volume/v3", "admin", project="admin", user="admin")
