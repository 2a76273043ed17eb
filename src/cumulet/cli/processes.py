"""Running one process of a cloud in the foreground."""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import shutil
import socket
import typing as t

import uvloop

from ..kernel import log
from ..kernel.config import Config
from ..kernel.parent import end_with_parent
from ..kernel.privilege import drop
from ..run import needs
from ..run.accepting import Shares
from ..run.layout import Layout
from . import Failure
from .listening import listen

ROLES = ("worker", "api")


def serve(config: Config, roles: frozenset[str], fd: int | None) -> None:
    """Run the control plane's processes until told to end: one for the worker, and so many as are set for the APIs. `fd`: the APIs'
    socket, where a supervisor opened it."""
    if unknown := roles - set(ROLES):
        raise Failure(f"There is no role {', '.join(sorted(unknown))}; there are {', '.join(sorted(ROLES))}.")
    layout, supervisor = Layout(config.root), os.getppid()
    listening = socket.socket(fileno=fd) if fd is not None else _alone(config, layout, roles)
    _count_together(layout)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a client costs a file, and an upload two; many systems begin with 1024
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would not be there after a fork
    from ..run import control, crew

    log.configure(config.log_level)
    runtime = control.prepare(config, layout)
    drop(config.user)
    if fd is not None:
        end_with_parent(supervisor)
    control.seed(runtime, layout)
    answering = range(config.api_process_count if "api" in roles else 0)
    shares = Shares(len(answering))
    role = crew.fork([*(["worker"] if "worker" in roles else []), *answering])
    if role == "worker":
        _run(control.work(runtime, layout))
    else:
        assert listening is not None
        assert isinstance(role, int)
        _run(control.answer(runtime, listening, functools.partial(shares.crowded, role)))


def _count_together(layout: Layout) -> None:
    """Have the processes' metrics be one, which the library looks for when it is imported."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(layout.metrics)
    shutil.rmtree(layout.metrics, ignore_errors=True)
    layout.metrics.mkdir(mode=0o700)


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
