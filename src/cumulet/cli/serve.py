"""Running one process of a cloud in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
import typing as t

import uvloop

from ..kernel import log
from ..kernel.config import Config
from ..run.layout import Layout, LayoutError
from . import Failure

ROLES = {"api", "worker"}


def serve(config: Config, roles: frozenset[str], fd: int | None) -> None:
    """Run the control process until it is told to end."""
    if unknown := roles - ROLES:
        raise Failure(f"There is no role {', '.join(sorted(unknown))}; there are {', '.join(sorted(ROLES))}.")
    from ..run import control
    from ..run.migrate import NewerDatabase

    listening = socket.socket(fileno=fd) if fd is not None else None
    try:
        _run(config, control.main(config, Layout(config.root), roles, listening))
    except NewerDatabase as error:
        raise Failure(str(error)) from None


def agent(config: Config) -> None:
    """Run the agent until it is told to end."""
    if config.hypervisor == "qemu" and os.getuid() != 0:
        raise Failure("The agent makes networks and runs guests: run it as root, or with --hypervisor simulated --network simulated.")
    from ..run import agent as process

    layout = Layout(config.root)
    try:
        layout.prepare(config.user)
        _run(config, process.main(config, layout))
    except LayoutError as error:
        raise Failure(str(error)) from None


def _run(config: Config, main: t.Coroutine[t.Any, t.Any, None]) -> None:
    log.configure(config.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
