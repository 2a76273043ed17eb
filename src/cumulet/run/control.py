"""A control process: the APIs, the workers and reconcilers, or some of these, by its roles."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import importlib.util
import signal
import socket
from pathlib import Path

import msgspec
import uvicorn

from .. import identity
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
from ..kernel.work import RECONCILERS, Worker
from ..kernel.work.probe import from_environment
from . import StartError
from .layout import Layout
from .migrate import upgrade
from .seed import seed_images, seed_public, seed_rows

log = get_logger("control")
LATE = ("anyio._backends._asyncio", "encodings.idna", "uvicorn.lifespan.off", "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl")  # fmt: skip
"""What libraries import only when it is needed, when this process may no longer be able to read it."""
SELDOM = ("cumulet.identity.drivers.saml.assertions", "cumulet.identity.drivers.saml.requests", "cumulet.identity.drivers.saml.responses",
          "httpx2", "jwt")  # fmt: skip
"""What most clouds never need, with all that it imports: loaded here only where this process could not read it later."""
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
        bus = LocalBus([layout.agent_socket])
    runtime = Runtime(config, db, bus, apis, identity.authenticate, overrides(layout.root / "policy.yaml"))
    db.on_nudge = bus.nudge
    services.listen(runtime)
    bus.on_event(functools.partial(_hello, runtime))
    return runtime


def prepare(config: Config, layout: Layout) -> Runtime:
    """All that has to be done before this process ceases to be root: loading its code, migrating the database."""
    upgrade(config.database_url)
    runtime = build(config, layout)
    for late in LATE if _readable(config.user) else LATE + SELDOM:
        importlib.import_module(late)
    give(layout.control, config.user)
    return runtime


def _readable(user: str) -> bool:
    """Whether the user that this process becomes may read its code, and the libraries'."""
    found = (importlib.util.find_spec(name) for name in ("cumulet", "signxml"))
    return all(one is None or one.origin is None or may_read(Path(one.origin), user) for one in found)


async def main(runtime: Runtime, layout: Layout, roles: frozenset[str], listening: socket.socket | None) -> None:
    """Serve until a signal. `listening` is the API's socket, opened by whoever started this process."""
    config = runtime.config
    if layout.seed.exists():
        wanted = msgspec.json.decode(layout.seed.read_bytes())
        await runtime.db.write(lambda tx: seed_rows(tx, runtime, wanted))
    await _open(runtime)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = []
    if "worker" in roles:
        running.append(asyncio.create_task(Worker(runtime, from_environment()).run()))
        running += [asyncio.create_task(kind(runtime).run()) for kind in RECONCILERS]
    server = None
    if "api" in roles:
        server = _server(runtime, config)
        running.append(asyncio.create_task(server.serve([listening] if listening else None)))
        running.append(asyncio.create_task(seed_images(runtime, layout)))
    log.info("control process is up", roles=",".join(sorted(roles)))
    await stop.wait()
    if server:
        server.should_exit = True
        await asyncio.sleep(0)
    for task in running:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*running, return_exceptions=True)
    await runtime.bus.close()
    runtime.db.close()


async def _open(runtime: Runtime) -> None:
    try:
        await runtime.bus.open()
    except OSError as error:
        raise StartError(f"The message server cannot be reached: {error}. Check `bus` in cumulet.toml, and `cumulet doctor`.") from None


async def _hello(runtime: Runtime, event: Event) -> None:
    """The first host says which addresses the external network has; with it there, the cloud is of use."""
    if event.name == "hello":
        public = event.data["network"]["public"]
        await runtime.db.write(lambda tx: seed_public(tx, public["cidr"], public["gateway"]))
        runtime.shared["hosts"] = True


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


def _server(runtime: Runtime, config: Config) -> uvicorn.Server:
    host, _, port = config.listen.rpartition(":")
    return _Server(uvicorn.Config(
        Application(runtime), host=host, port=int(port), loop="none", http="httptools", ws="websockets-sansio", lifespan="off",
        log_config=None, access_log=False, server_header=False, timeout_keep_alive=75,
        proxy_headers=False,  # who is connected is who is believed or not (Request.told_by_proxy), whatever a header says
    ))  # fmt: skip
