"""Whose a task is: the names of workers, and which of them are known to be dead.

A name is `place:pid:start:number`. The place is this start of this machine and the namespace that its pids are of, so that
a worker can tell for those of its own place whether their process still runs. Of all others it knows nothing: their
leases have to run out.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

STATE, START = 0, 19
"""Where proc_pid_stat(5) has a process's state and when it started, in clock ticks since the machine did; counted from behind the
command's name, which is free to have spaces."""
ENDED = {"Z", "X"}
_NUMBERS = itertools.count(1)


def worker_name() -> str:
    """A name that no other worker has, now or later."""
    return f"{_place()}:{os.getpid()}:{_stat(os.getpid())[START]}:{next(_NUMBERS)}"


def is_dead(name: str) -> bool:
    """Whether the process of the worker of this name has ended for sure. One that has ended and was not waited for yet is dead: some
    machines' first process is slow to do that, and that of many containers never does."""
    place, _, process = name.partition(":")
    if place != _place():
        return False
    pid, start, _ = process.split(":")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody has that pid, and may be hidden from this user
    seen = _stat(int(pid))
    return bool(seen) and (seen[START] != start or seen[STATE] in ENDED)


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256((boot + os.readlink("/proc/self/ns/pid")).encode()).hexdigest()[:16]


def _stat(pid: int) -> list[str]:
    """What proc_pid_stat(5) tells of a process after its command's name; nothing where that cannot be read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
