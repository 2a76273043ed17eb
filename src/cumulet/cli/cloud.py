"""`up`, `down`, `status` and `logs`: a whole cloud on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import click

from ..kernel.config import Config
from ..run import credentials
from ..run.layout import Layout, LayoutError, uid_of, write_private
from . import Failure

READY = 45.0


def up(config: Config, detach: bool) -> None:
    """Start the cloud of a data directory; where it runs already, say so and do nothing."""
    layout = Layout(config.root)
    if running(layout):
        click.echo(f"The cloud in {layout.root} is up.\n{hints(config, layout)}")
        return
    try:
        _user(config)
        layout.prepare(config.user)
    except LayoutError as error:
        raise Failure(str(error)) from None
    lock = _lock(layout)
    listening = _listen(config)
    passwords = credentials.write(config, layout, secrets.token_urlsafe)
    write_private(layout.seed, json.dumps(passwords), uid_of(config.user))
    spec = layout.run / "supervisor.json"
    write_private(spec, json.dumps(_spec(config, layout, listening.fileno())))
    argv = [sys.executable, "-m", "cumulet.run.supervisor", str(spec)]
    with open(layout.log / "supervisor.log", "ab") as log:
        supervisor = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(listening.fileno(), lock), start_new_session=detach
        )
    listening.close()
    try:
        _wait(config, layout, supervisor)
    except BaseException:
        supervisor.terminate()
        supervisor.wait()
        raise
    click.echo(f"The cloud is up.\n{hints(config, layout)}")
    if not detach:
        with contextlib.suppress(KeyboardInterrupt):
            supervisor.wait()
        supervisor.terminate()
        supervisor.wait()


def down(config: Config) -> None:
    """Stop the cloud's processes. Guests go on running."""
    layout = Layout(config.root)
    state = running(layout)
    if not state:
        click.echo(f"No cloud runs in {layout.root}.")
        return
    os.kill(state["supervisor"], signal.SIGTERM)
    end = time.monotonic() + 30
    while running(layout):
        if time.monotonic() > end:
            raise Failure(f"Process {state['supervisor']} has not ended within 30 s; see {layout.log}/supervisor.log.")
        time.sleep(0.05)
    click.echo("The cloud is down.")


def status(config: Config) -> int:
    """Print what runs; 0 where all of it does."""
    layout = Layout(config.root)
    state = running(layout)
    if not state:
        click.echo(f"No cloud runs in {layout.root}. Start it with: cumulet up --data {layout.root}")
        return 3
    for name, pid in {"supervisor": state["supervisor"], **state["children"]}.items():
        click.echo(f"{name:12} {'pid ' + str(pid) if pid else 'is being started again'}")
    good = answers(config)
    click.echo(f"{'APIs':12} {config.url if good else 'do not answer; see: cumulet logs control --data ' + str(layout.root)}")
    return 0 if good and all(state["children"].values()) else 1


def logs(config: Config, follow: bool, process: str | None) -> None:
    """Print the processes' logs."""
    layout = Layout(config.root)
    files = [str(layout.log / f"{process}.log")] if process else sorted(str(p) for p in layout.log.glob("*.log"))
    files = [f for f in files if Path(f).exists()]
    if not files:
        raise Failure(f"There are no logs in {layout.log}.")
    os.execvp("tail", ["tail", "-n", "200", *(["-F"] if follow else []), *files])


def running(layout: Layout) -> dict[str, t.Any] | None:
    """The supervisor's state, where it lives: whoever holds the lock is alive."""
    if not layout.lock.exists() or not layout.state.exists():
        return None
    with open(layout.lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError):
                return json.loads(layout.state.read_text())
    return None


def hints(config: Config, layout: Layout) -> str:
    """What a person needs next."""
    return (
        f"\n  APIs         {config.url}\n  clouds       cumulet (the admin), cumulet-demo (a member)\n"
        f"  credentials  {layout.clouds}, {layout.openrc}\n\nTry:\n"
        f"  export OS_CLIENT_CONFIG_FILE={layout.clouds} OS_CLOUD=cumulet-demo\n"
        "  openstack network create net && openstack subnet create --network net --subnet-range 10.0.0.0/24 subnet\n"
        "  openstack server create --image guest --flavor m1.tiny --network net --wait first\n"
    )


def _lock(layout: Layout) -> int:
    """Hold the data directory; the supervisor inherits the lock and keeps it while it lives."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(descriptor, True)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"Another `cumulet up` is at work in {layout.root}: wait for it, or name another directory with --data.") from None
    layout.state.unlink(missing_ok=True)
    return descriptor


def _listen(config: Config) -> socket.socket:
    host, _, port = config.listen.rpartition(":")
    try:
        listening = socket.create_server((host.strip("[]"), int(port)), backlog=512, reuse_port=False)
    except OSError as error:
        raise Failure(f"Cannot listen on {config.listen}: {error.strerror or error}. Name another address with --listen HOST:PORT.") from None
    listening.set_inheritable(True)
    return listening


def _spec(config: Config, layout: Layout, fd: int) -> dict:
    """What the supervisor runs: settings go to its children as flags and through cumulet.toml."""
    python = [sys.executable, "-m", "cumulet"]
    common = ["--data", str(layout.root), *(["--bus", config.bus] if config.bus else [])]
    control = ["serve", *common, "--listen", config.listen, "--fd", str(fd)]
    if config.database:
        control += ["--database", config.database]
    agent = ["agent", *common, "--hypervisor", config.hypervisor, "--network", config.network, "--hosts", str(config.hosts)]
    return {
        "state": str(layout.state),
        "children": {
            "agent": {"argv": [*python, *agent], "log": str(layout.log / "agent.log")},
            "control": {"argv": [*python, *control], "log": str(layout.log / "control.log"), "fds": [fd]},
        },
    }


def _wait(config: Config, layout: Layout, supervisor: subprocess.Popen) -> None:
    """Until the APIs answer and a host is there; with the log's end where it does not come to that."""
    end = time.monotonic() + READY
    while not answers(config, "/readyz"):
        if supervisor.poll() is not None or time.monotonic() > end:
            raise Failure(f"The cloud did not come up. The last lines of its logs:\n{_tails(layout)}")
        time.sleep(0.02)


def answers(config: Config, path: str = "/healthz") -> bool:
    """Whether the cloud's APIs answer a path with 200."""
    try:
        with urllib.request.urlopen(f"http://{config.listen}{path}", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _tails(layout: Layout) -> str:
    return "\n".join(
        f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-8:]) for path in sorted(layout.log.glob("*.log"))
    )


def _user(config: Config) -> None:
    """Make the system user that the control plane and guests run as, where root starts the cloud and it is not there."""
    if os.getuid() != 0:
        return
    try:
        uid_of(config.user)
    except LayoutError:
        if shutil.which("useradd") is None:
            raise
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", config.user],
            check=True,
        )
