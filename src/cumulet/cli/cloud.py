"""`up` and `status`: a whole cloud on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import typing as t
from pathlib import Path

import click
import msgspec

from ..kernel.config import Config
from ..run import StartError, needs
from ..run.layout import Layout, LayoutError, uid_of, write_private
from ..run.state import State, environment, hold, last_settings, running
from . import Failure
from .listening import answers, ask, listen, said

READY, SLOW, STEP = 120.0, 1.0, 0.05
"""Seconds: how long a start may take, after how many it is told what is waited for, and how often that is looked at."""
KEPT = ("listen", "hypervisor", "network", "hosts", "database", "bus")
"""Settings that flags of `up` can give."""


def up(config: Config, given: set[str], detach: bool) -> None:
    """Start the cloud of a data directory; where it runs already, say so and do nothing. `given`: the settings that are
    from flags."""
    layout = Layout(config.root)
    if state := running(layout):
        config = _unchanged(config, given, layout)
        wait(config, layout, state, sizes(layout))
        click.echo(f"The cloud in {layout.root} is up.\n{hints(config, layout)}")
        return
    if found := list(needs.missing(config)):
        raise Failure("\n".join(f"{finding.sentence}\n    {finding.command}" for finding in found))
    signal.signal(signal.SIGTERM, _interrupted)
    _user(config)
    layout.prepare(config.user)
    lock = hold(layout)
    _remember(config, given, layout)
    before = sizes(layout)
    supervisor = _start(config, layout, lock, detach)
    try:
        wait(config, layout, supervisor, before)
    except BaseException:
        supervisor.terminate()
        supervisor.wait()
        raise
    click.echo(f"The cloud is up.\n{hints(config, layout)}")
    if not detach:
        _stay(supervisor)


def status(config: Config) -> int:
    """Print what runs; 0 where all of it does."""
    layout = Layout(config.root)
    state = running(layout)
    if not state:
        click.echo(f"No cloud runs in {layout.root}. Start it with: cumulet up --data {layout.root}")
        return 3
    config = in_force(config, layout)
    click.echo(f"{'supervisor':12} pid {state.supervisor}")
    for name, child in state.children.items():
        click.echo(f"{name:12} {f'pid {child.pid}' if child.pid else 'is being started again'}{_ends(child.ended, child.status)}")
    good = answers(config)
    click.echo(f"{'APIs':12} {config.url if good else f'do not answer; see: cumulet logs control --data {layout.root}'}")
    return 0 if good and all(child.pid for child in state.children.values()) else 1


def in_force(config: Config, layout: Layout) -> Config:
    """The settings of the cloud that runs, or last ran, in a directory."""
    return msgspec.convert(msgspec.to_builtins(config) | last_settings(layout), Config)


def sizes(layout: Layout) -> dict[Path, int]:
    """How long each log is by now."""
    return {path: path.stat().st_size for path in layout.log.glob("*.log")}


def wait(config: Config, layout: Layout, started: State | subprocess.Popen, logged: dict[Path, int]) -> None:
    """Until the APIs answer and a host is there, telling what is waited for. Raises Failure as soon as a process has ended,
    with what it said last. `logged`: how long the logs were before."""
    before = {name: child.ended for name, child in started.children.items()} if isinstance(started, State) else {}
    began, told = time.monotonic(), ""
    while (reply := ask(config, "/readyz")) is None or reply.status != 200:
        state = running(layout)
        for name, child in state.children.items() if state else ():
            if child.ended > before.get(name, 0):
                raise Failure(f"The {name} process ended{_how(child.status)}. It said last:\n{_tail(layout, name, logged)}")
        if isinstance(started, subprocess.Popen) and started.poll() is not None:
            raise Failure(f"The supervisor ended{_how(started.returncode)}. It said last:\n{_tail(layout, 'supervisor', logged)}")
        what = said(reply) if reply else "Starting: the APIs do not answer yet."
        spent = time.monotonic() - began
        if spent > READY:
            raise Failure(f"The cloud was not ready within {READY:g} s. {what} See: cumulet logs --data {layout.root}")
        if spent > SLOW and what != told:
            click.echo(f"  {spent:4.1f} s  {what}", err=True)  # who pipes the result into `head` does not end the start
            told = what
        time.sleep(STEP)


def hints(config: Config, layout: Layout) -> str:
    """What a person needs next."""
    return (
        f"\n  APIs         {config.url}\n  clouds       cumulet (the admin), cumulet-demo (a member)\n"
        f"  credentials  {layout.clouds}, {layout.openrc}\n{_guests(config, layout)}\nTry:\n"
        f"  export OS_CLIENT_CONFIG_FILE={layout.clouds} OS_CLOUD=cumulet-demo\n"
        "  openstack network create net && openstack subnet create --network net --subnet-range 10.0.0.0/24 subnet\n"
        "  openstack server create --image guest --flavor m1.tiny --network net --wait first\n"
    )


def _guests(config: Config, layout: Layout) -> str:
    """How guests run, where that is not at a machine's own speed."""
    if config.hypervisor == "simulated":
        return f"  guests       simulated, on {config.hosts} host{'s' if config.hosts > 1 else ''}: servers are ACTIVE, and nothing runs\n"
    for path in layout.agent.glob("*/compute/accelerator.json"):
        found = json.loads(path.read_text())
        if found["name"] == "tcg":
            return f"  guests       {found['reason'].splitlines()[0]}\n"
    return ""


def _unchanged(config: Config, given: set[str], layout: Layout) -> Config:
    """The settings of the cloud that runs. Raises Failure where flags ask for others."""
    now = in_force(config, layout)
    different = [name for name in sorted(given) if getattr(config, name) != getattr(now, name)]
    if different:
        flags = ", ".join(f"--{name}" for name in different)
        raise Failure(f"The cloud in {layout.root} runs with another {flags}: run `cumulet down --data {layout.root}` first.")
    return now


def _remember(config: Config, given: set[str], layout: Layout) -> None:
    """Write the first start's flags down as the cloud's settings; say which later ones go before them."""
    if not layout.settings.exists():
        lines = [f"{name} = {json.dumps(getattr(config, name))}" for name in KEPT if name in given]
        write_private(layout.settings, "\n".join(["# Settings of this cloud. docs/configuration.md lists all there are.", *lines, ""]))
        return
    kept = tomllib.loads(layout.settings.read_text())
    for name in KEPT:
        if name in given and name not in ("database", "bus") and kept.get(name) not in (None, getattr(config, name)):
            click.echo(f"This time {name} is {getattr(config, name)}; {layout.settings} says {kept[name]}.")


def _start(config: Config, layout: Layout, lock: int, detach: bool) -> subprocess.Popen:
    """Start the supervisor, which keeps the lock while it and its children live."""
    from ..run import credentials

    with listen(config) as listening:
        credentials.write(config, layout)
        fd = listening.fileno()
        write_private(layout.spec, json.dumps(_spec(config, layout, fd, lock, None if detach else os.getpid())))
        argv = [sys.executable, "-m", "cumulet.run.supervisor", str(layout.spec)]
        with open(layout.log / "supervisor.log", "ab", opener=lambda path, flags: os.open(path, flags, 0o640)) as log:
            started = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(fd, lock), start_new_session=detach
            )
    os.close(lock)
    return started


def _spec(config: Config, layout: Layout, listening: int, lock: int, parent: int | None) -> dict[str, t.Any]:
    """What the supervisor runs. The agent is not told where the database is."""
    python = [sys.executable, "-m", "cumulet"]
    away = msgspec.structs.replace(config, database="")
    return {
        "state": str(layout.state),
        "parent": parent,
        "settings": msgspec.to_builtins(config),
        "children": {
            "agent": {
                "argv": [*python, "agent", "--data", str(layout.root)], "log": str(layout.log / "agent.log"),
                "environment": environment(away), "fds": [lock],
            },
            "control": {
                "argv": [*python, "serve", "--data", str(layout.root), "--fd", str(listening)], "log": str(layout.log / "control.log"),
                "environment": environment(config), "fds": [lock, listening],
            },
        },
    }  # fmt: skip


def _stay(supervisor: subprocess.Popen) -> None:
    """Stay until the person, or the supervisor, ends. Raises Failure where the latter was not asked to."""
    click.echo("The cloud runs until Ctrl-C.")
    try:
        if status := supervisor.wait():
            raise Failure(f"The supervisor ended{_how(status)}.")
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()


def _interrupted(number: int, frame: t.Any) -> t.NoReturn:
    raise KeyboardInterrupt


def _tail(layout: Layout, name: str, logged: dict[Path, int]) -> str:
    """The last lines that a process has written since it was looked at."""
    path = layout.log / f"{name}.log"
    if not path.exists():
        return "  (nothing)"
    said = path.read_bytes()[logged.get(path, 0) :].decode(errors="replace")
    return "\n".join(f"  {line}" for line in said.splitlines()[-8:]) or "  (nothing)"


def _how(status: int | None) -> str:
    if status is None:
        return ""
    return f" (signal {-status})" if status < 0 else f" (status {status})"


def _ends(ended: int, status: int | None) -> str:
    return f", started again {ended} times, the last time{_how(status)}" if ended else ""


def _user(config: Config) -> None:
    """Make the system user that the control plane runs as, where root starts the cloud and it is not there."""
    if os.getuid() != 0:
        return
    try:
        uid_of(config.user)
    except LayoutError:
        if shutil.which("useradd") is None:
            raise
        argv = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", config.user]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise StartError(f"The user {config.user} could not be made: {done.stderr.strip()}") from None
