"""Running one process of a cloud in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
import typing as t

import uvloop

from ..kernel import log
from ..kernel.config import Config
from ..kernel.privilege import drop
from ..run.layout import Layout, LayoutError
from . import Failure

ROLES = {"api", "worker"}


def serve(config: Config, roles: frozenset[str], fd: int | None) -> None:
    """Run the control process until it is told to end."""
    if unknown := roles - ROLES:
        raise Failure(f"There is no role {', '.join(sorted(unknown))}; there are {', '.join(sorted(ROLES))}.")
    from ..run import control
    from ..run.migrate import NewerDatabase

    log.configure(config.log_level)
    layout = Layout(config.root)
    listening = socket.socket(fileno=fd) if fd is not None else None
    try:
        runtime = control.prepare(config, layout)
    except NewerDatabase as error:
        raise Failure(str(error)) from None
    drop(config.user)
    _run(control.main(runtime, layout, roles, listening))


def agent(config: Config) -> None:
    """Run the agent until it is told to end."""
    if config.hypervisor == "qemu" and os.getuid() != 0:
        raise Failure("The agent makes networks and runs guests: run it as root, or with --hypervisor simulated --network simulated.")
    from ..run import agent as process

    log.configure(config.log_level)
    layout = Layout(config.root)
    try:
        layout.prepare(config.user)
        _run(process.main(config, layout))
    except LayoutError as error:
        raise Failure(str(error)) from None


def _run(main: t.Coroutine[t.Any, t.Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
