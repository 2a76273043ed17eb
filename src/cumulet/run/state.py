"""Which processes of a cloud run. Whoever holds the directory's lock is alive, and a file says which others are.

The supervisor and its children all hold the lock: a directory is free once the last of them has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

import msgspec

from ..kernel.config import Config
from . import StartError
from .layout import Layout

PATIENCE = 5.0


class Child(msgspec.Struct):
    """A supervised process: its id (None while it waits to be started again), how often it ended, how it did last
    (a signal's number is negative)."""

    pid: int | None = None
    ended: int = 0
    status: int | None = None


class State(msgspec.Struct):
    """What the supervisor says of itself."""

    supervisor: int
    children: dict[str, Child]


def running(layout: Layout) -> State | None:
    """The processes of the cloud in a directory; None where there are none."""
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(layout)
    finally:
        os.close(descriptor)
    return None


def hold(layout: Layout) -> int:
    """Take the directory; the descriptor that holds it until it is closed everywhere. Raises StartError where it is taken:
    at once by a living command, after a while by what is left of a cloud whose supervisor was killed."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + PATIENCE
    while not _lock(descriptor):
        if not layout.state.exists() or time.monotonic() > end:
            os.close(descriptor)
            raise StartError(f"Another cumulet command is at work in {layout.root}: wait for it, or name another directory with --data.")
        time.sleep(0.05)
    layout.state.unlink(missing_ok=True)
    return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _told(layout: Layout) -> State | None:
    """What the supervisor says, if it lives."""
    try:
        state = msgspec.json.decode(layout.state.read_bytes(), type=State)
        os.kill(state.supervisor, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        pass
    return state


def last_settings(layout: Layout) -> dict[str, t.Any]:
    """The settings that the cloud of a directory runs with, or last ran with; none before its first start."""
    with contextlib.suppress(FileNotFoundError):
        settings = json.loads(layout.spec.read_text())["settings"]
        return {name: value for name, value in settings.items() if name in Config.__struct_fields__ and name != "data"}
    return {}


def environment(config: Config) -> dict[str, str]:
    """Settings as a child process takes them. They go by the environment: a command line is for everybody to read."""
    values = ((name, value) for name, value in msgspec.to_builtins(config).items() if name != "data")
    return {f"CUMULET_{name.upper()}": json.dumps(value) if isinstance(value, dict | list) else str(value) for name, value in values}
