"""Actions that change what a server does: start, stop, reboot, pause, suspend."""

from __future__ import annotations

import typing as t

from ...kernel.db import Tx
from ...kernel.http import Body, Request
from .. import PROJECT_MEMBER, api
from ..workflows.power import PowerServer
from .find import begin, find, target
from .states import Task, Vm

# -- wire ----------------------------------------------------------------------------------------------------------


class Reboot(Body):
    type: t.Literal["SOFT", "HARD", "soft", "hard", "Soft", "Hard"]


# -- policy --------------------------------------------------------------------------------------------------------

START = api.rule("os_compute_api:servers:start", PROJECT_MEMBER, "Start a server.")
STOP = api.rule("os_compute_api:servers:stop", PROJECT_MEMBER, "Stop a server.")
REBOOT = api.rule("os_compute_api:servers:reboot", PROJECT_MEMBER, "Reboot a server.")
PAUSE = api.rule("os_compute_api:os-pause-server:pause", PROJECT_MEMBER, "Pause a server.")
UNPAUSE = api.rule("os_compute_api:os-pause-server:unpause", PROJECT_MEMBER, "Unpause a server.")
SUSPEND = api.rule("os_compute_api:os-suspend-server:suspend", PROJECT_MEMBER, "Suspend a server.")
RESUME = api.rule("os_compute_api:os-suspend-server:resume", PROJECT_MEMBER, "Resume a server.")

# -- operations ----------------------------------------------------------------------------------------------------


def _act(tx: Tx, request: Request, id: str, action: str, change: str, task: Task, vm: set[Vm], **more: t.Any) -> None:
    row = find(tx, request, id)
    begin(tx, request, row, action, task, vm=vm, **more)
    PowerServer.start(tx, row.id, request_id=request.id, change=change)


@api.op("POST", "/servers/{id}/action", action="os-start", policy=START, target=target, status=202, errors=(404, 409))
def start(tx: Tx, request: Request, id: str) -> None:
    """Start a stopped server."""
    _act(tx, request, id, "start", "start", Task.POWERING_ON, {Vm.STOPPED})


@api.op("POST", "/servers/{id}/action", action="os-stop", policy=STOP, target=target, status=202, errors=(404, 409))
def stop(tx: Tx, request: Request, id: str) -> None:
    """Stop a server: its power button, then its power."""
    _act(tx, request, id, "stop", "stop", Task.POWERING_OFF, {Vm.ACTIVE, Vm.ERROR})


@api.op("POST", "/servers/{id}/action", action="reboot", policy=REBOOT, target=target, status=202, errors=(404, 409))
def reboot(tx: Tx, request: Request, id: str, body: Reboot) -> None:
    """Reboot a server."""
    if body.type.upper() == "SOFT":
        _act(tx, request, id, "reboot", "reboot", Task.REBOOTING, {Vm.ACTIVE})
    else:
        busy = {None, Task.REBOOTING, Task.REBOOTING_HARD, Task.PAUSING, Task.UNPAUSING, Task.SUSPENDING, Task.RESUMING}
        _act(tx, request, id, "reboot", "reboot-hard", Task.REBOOTING_HARD,
             {Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED, Vm.ERROR}, tasks=busy)  # fmt: skip


@api.op("POST", "/servers/{id}/action", action="pause", policy=PAUSE, target=target, status=202, errors=(404, 409))
def pause(tx: Tx, request: Request, id: str) -> None:
    """Freeze a server in memory."""
    _act(tx, request, id, "pause", "pause", Task.PAUSING, {Vm.ACTIVE})


@api.op("POST", "/servers/{id}/action", action="unpause", policy=UNPAUSE, target=target, status=202, errors=(404, 409))
def unpause(tx: Tx, request: Request, id: str) -> None:
    """Let a paused server go on."""
    _act(tx, request, id, "unpause", "unpause", Task.UNPAUSING, {Vm.PAUSED})


@api.op("POST", "/servers/{id}/action", action="suspend", policy=SUSPEND, target=target, status=202, errors=(404, 409))
def suspend(tx: Tx, request: Request, id: str) -> None:
    """Write a server's memory to disk and stop it."""
    _act(tx, request, id, "suspend", "suspend", Task.SUSPENDING, {Vm.ACTIVE})


@api.op("POST", "/servers/{id}/action", action="resume", policy=RESUME, target=target, status=202, errors=(404, 409))
def resume(tx: Tx, request: Request, id: str) -> None:
    """Go on from a suspended server's memory."""
    _act(tx, request, id, "resume", "resume", Task.RESUMING, {Vm.SUSPENDED})
