"""A control process: it answers the APIs, or does the work: workers and reconcilers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import importlib.util
import os
import signal
import socket
import typing as t
from pathlib import Path

import msgspec
import uvicorn

from .. import identity, image
from ..kernel import services
from ..kernel.auth.policy import overrides
from ..kernel.bus import Bus, Event
from ..kernel.bus.local import LocalBus
from ..kernel.config import Config
from ..kernel.db import Database
from ..kernel.http.application import Application
from ..kernel.log import get_logger
from ..kernel.privilege import give, may_read
from ..kernel.runtime import Runtime
from ..kernel.sealing import own_box
from ..kernel.work import RECONCILERS, Worker
from ..kernel.work.probe import from_environment
from . import StartError
from .accepting import Accepting
from .connection import Connection
from .layout import Layout
from .migrate import upgrade
from .seed import seed_images, seed_public, seed_rows, seeded

log = get_logger("control")
LATE = ("anyio._backends._asyncio", "encodings.idna", "uvicorn.lifespan.off",
        "uvicorn.protocols.websockets.websockets_sansio_impl")  # fmt: skip
"""What libraries import only when it is needed, when this process may no longer be able to read it."""
SELDOM = ("cumulet.identity.drivers.saml.assertions", "cumulet.identity.drivers.saml.requests", "cumulet.identity.drivers.saml.responses",
          "httpcore2", "httpx2", "jwt")  # fmt: skip
"""What most clouds never need, with all that it imports: loaded here only where this process could not read it later."""
LAST = 2
"""Seconds that requests have to be answered in when this process is told to end."""
SERVICES = ("identity", "image", "placement", "compute", "network", "volume", "root")


def build(config: Config, layout: Layout) -> Runtime:
    """What every role stands on."""
    apis = services.load(*SERVICES)
    db = Database(config.database_url)
    bus: Bus
    if config.bus:
        from ..kernel.bus.amqp import AmqpBus

        bus = AmqpBus(config.bus)
    else:
        topics = {*Worker.TOPICS, *(topic for kind in RECONCILERS for topic in kind.nudged_by)}
        bus = LocalBus([layout.agent_socket], {topic: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for topic in topics})
    runtime = Runtime(config, db, bus, apis, identity.authenticate, overrides(layout.root / "policy.yaml"))
    db.on_nudge = bus.nudge
    return runtime


def prepare(config: Config, layout: Layout) -> Runtime:
    """All that has to be done before this process ceases to be root: loading its code, migrating the database, making directories.
    Raises StartError."""
    upgrade(config.database_url)
    runtime = build(config, layout)
    try:
        image.in_force(runtime)
    except image.RulesError as error:
        raise StartError(str(error)) from None
    for late in LATE if _readable(config.user) else LATE + SELDOM:
        importlib.import_module(late)
    own_box(layout.root)  # its key is there before anybody copies the keys for another control process
    give(layout.control, config.user)
    for store, directory in config.image_directories.items():
        _have(store, directory, config.user)
    return runtime


def _have(store: str, directory: Path, user: str) -> None:
    """Make a store's directory, the user's, where there is none. Raises StartError."""
    try:
        if not directory.is_dir():
            directory.mkdir(0o750)
            give(directory, user)
    except OSError as error:
        raise StartError(f"The directory of image store {store} cannot be made: {error}.") from None


def _readable(user: str) -> bool:
    """Whether the user that this process becomes may read its code, and the libraries'."""
    found = (importlib.util.find_spec(name) for name in ("cumulet", "signxml"))
    return all(one is None or one.origin is None or may_read(Path(one.origin), user) for one in found)


def seed(runtime: Runtime, layout: Layout) -> None:
    """What a new cloud has from the beginning. No connection to the database stays open, for whoever forks now."""
    if layout.seed.exists():
        wanted = msgspec.json.decode(layout.seed.read_bytes())
        runtime.db.transact(lambda tx: seed_rows(tx, runtime.config, wanted))
        runtime.db.engine.dispose()


async def answer(runtime: Runtime, listening: socket.socket, crowded: t.Callable[[int], bool]) -> None:
    """Answer the APIs until a signal. `listening` is their socket, which other processes may have too; `crowded` tells whether this
    one has more than its share of so many connections."""
    runtime.bus.on_event(functools.partial(_here, runtime))
    server = _server(runtime, crowded)
    await _until_told(runtime, "api", server.serve([listening]), seeded(runtime), ending=server)


async def work(runtime: Runtime, layout: Layout) -> None:
    """Run sagas and reconcilers until a signal."""
    services.listen(runtime)
    runtime.bus.on_event(functools.partial(_hello, runtime))
    worker = Worker(runtime, from_environment())
    await _until_told(runtime, "worker", worker.run(), *(kind(runtime).run() for kind in RECONCILERS), seed_images(runtime, layout))


async def _until_told(runtime: Runtime, role: str, *tasks: t.Coroutine[t.Any, t.Any, None], ending: uvicorn.Server | None = None) -> None:
    await _open(runtime)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = [asyncio.create_task(task) for task in tasks]
    log.info("control process is up", role=role)
    await stop.wait()
    if ending:
        await _finish_answers(ending, running[0])
    for task in running:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*running, return_exceptions=True)
    await runtime.bus.close()
    runtime.db.close()


async def _finish_answers(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Requests that have begun are answered, as far as that takes no longer than LAST. Nobody may find the database closed."""
    server.should_exit = True
    await asyncio.wait([serving])
    await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


async def _open(runtime: Runtime) -> None:
    try:
        await runtime.bus.open()
    except OSError as error:
        raise StartError(f"The message server cannot be reached: {error}. Check `bus` in cumulet.toml, and `cumulet doctor`.") from None


async def _hello(runtime: Runtime, event: Event) -> None:
    """The first host says which addresses the external network has."""
    if event.name == "hello":
        public = event.data["network"]["public"]
        await runtime.db.write(lambda tx: seed_public(tx, public["cidr"], public["gateway"]))


async def _here(runtime: Runtime, event: Event) -> None:
    """With a host there, the cloud is of use."""
    if event.name == "hello":
        runtime.shared["hosts"] = True


class _Server(uvicorn.Server):
    """Leaves signals to the process, and takes its share of the connections."""

    def __init__(self, config: uvicorn.Config, crowded: t.Callable[[int], bool]):
        super().__init__(config)
        self._crowded = crowded

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        (listening,) = sockets or []
        self._accepting = Accepting(listening, self._crowded, lambda: len(self.server_state.connections), self._protocol)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._accepting.close()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self):
        yield


def _server(runtime: Runtime, crowded: t.Callable[[int], bool]) -> uvicorn.Server:
    return _Server(uvicorn.Config(
        Application(runtime), loop="none", http=Connection, ws="websockets-sansio", lifespan="off",
        log_config=None, access_log=False, server_header=False, timeout_keep_alive=75,
        timeout_graceful_shutdown=LAST,
        proxy_headers=False,  # who is connected is who is believed or not (Request.told_by_proxy), whatever a header says
    ), crowded)  # fmt: skip
