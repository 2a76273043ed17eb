"""Running one process of a cloud in the foreground."""

from __future__ import annotations

import asyncio
import os
import socket
import typing as t

import uvloop

from ..kernel import log
from ..kernel.config import Config
from ..kernel.parent import end_with_parent
from ..kernel.privilege import drop
from ..run import needs
from ..run.layout import Layout
from . import Failure
from .listening import listen

ROLES = {"api", "worker"}


def serve(config: Config, roles: frozenset[str], fd: int | None) -> None:
    """Run the control process until it is told to end. `fd`: the APIs' socket, where a supervisor opened it."""
    if unknown := roles - ROLES:
        raise Failure(f"There is no role {', '.join(sorted(unknown))}; there are {', '.join(sorted(ROLES))}.")
    from ..run import control

    log.configure(config.log_level)
    layout, supervisor = Layout(config.root), os.getppid()
    listening = socket.socket(fileno=fd) if fd is not None else _alone(config, layout, roles)
    runtime = control.prepare(config, layout)
    drop(config.user)
    if fd is not None:
        end_with_parent(supervisor)
    _run(control.main(runtime, layout, roles, listening))


def agent(config: Config) -> None:
    """Run the agent until it is told to end."""
    if found := list(needs.missing(config)):
        raise Failure("\n".join(f"{finding.sentence}\n    {finding.command}" for finding in found))
    from ..run import agent as process

    log.configure(config.log_level)
    layout = Layout(config.root)
    layout.prepare(config.user)
    _run(process.main(config, layout))


def _alone(config: Config, layout: Layout, roles: frozenset[str]) -> socket.socket | None:
    """What `up` prepares for a control process that it starts: the directory, the passwords, the socket."""
    from ..run import credentials

    layout.prepare(config.user)
    if "api" not in roles:
        return None
    listening = listen(config)
    credentials.write(config, layout)
    return listening


def _run(main: t.Coroutine[t.Any, t.Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
