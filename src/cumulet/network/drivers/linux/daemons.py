"""Daemons inside namespaces: started once, found again after a restart of the agent, ended for good.

A daemon's configuration is in a file whose name holds its hash. What a process was started with is so to be
read from its command line, and nothing has to be remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.kernel import process
from cumulet.network.drivers.linux import files, namespaces

PATIENCE = 3.0
"""Seconds that a daemon is given to end by itself."""


class Daemon(msgspec.Struct, frozen=True):
    """A program that puts itself in the background, at most one for a namespace."""

    namespace: str
    conf: str
    argv: Callable[[Path, Path], tuple[str, ...]]
    """The command line, from the paths of its configuration and its pid file."""


class Daemons:
    def __init__(self, directory: Path):
        self._directory = directory
        self._pids: dict[str, list[int]] = {}

    async def refresh(self) -> None:
        """Look which daemons run. What the other calls know is from here."""
        self._pids = await asyncio.to_thread(self._scan)

    def alive(self, daemon: Daemon) -> bool:
        """Whether the daemon runs, with this very configuration and in the namespace of that name."""
        pids = self._pids.get(daemon.namespace, [])
        conf = str(self._conf(daemon))
        return bool(pids) and all(conf in command_line(pid) and is_inside(pid, daemon.namespace) for pid in pids)

    async def ensure(self, daemon: Daemon) -> bool:
        """Have it running; whether it had to be started. Raises CommandFailed with what the program said."""
        if await asyncio.to_thread(self.alive, daemon):
            return False
        await self.stop(daemon.namespace)
        conf = self._conf(daemon)
        await asyncio.to_thread(files.write, conf, daemon.conf)
        argv = daemon.argv(conf, self._directory / f"{daemon.namespace}.pid")
        await process.run(*namespaces.command(daemon.namespace, *argv))
        await self.refresh()
        return True

    def signal(self, namespace: str, number: signal.Signals) -> None:
        for pid in self._pids.get(namespace, []):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def stop(self, namespace: str) -> None:
        """End the namespace's daemon, whatever it was started with, and remove its files."""
        await asyncio.to_thread(end, self._pids.pop(namespace, []))
        for file in self._directory.glob(f"{namespace}.*"):
            file.unlink(missing_ok=True)

    def namespaces(self) -> set[str]:
        """Where daemons of this directory run."""
        return set(self._pids)

    def _conf(self, daemon: Daemon) -> Path:
        digest = hashlib.sha256(daemon.conf.encode()).hexdigest()[:12]
        return self._directory / f"{daemon.namespace}.{digest}.conf"

    def _scan(self) -> dict[str, list[int]]:
        """All processes that were given a configuration from this directory, by namespace."""
        found: dict[str, list[int]] = {}
        for entry in os.listdir("/proc"):
            for word in command_line(entry) if entry.isdecimal() else ():
                if word.endswith(".conf") and Path(word).parent == self._directory:
                    found.setdefault(Path(word).name.split(".")[0], []).append(int(entry))
        return found


def command_line(pid: int | str) -> list[str]:
    """The words of a process's command line, options split from their values; none for one that has ended."""
    with contextlib.suppress(OSError):
        data = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        return [word.rpartition("=")[2] for word in data.split("\0")]
    return []


def is_inside(pid: int, namespace: str) -> bool:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino == namespaces.identity(namespace)
    return False


def end(pids: list[int]) -> None:
    """End processes and wait until they are gone; those that do not heed SIGTERM are killed."""
    with contextlib.ExitStack() as stack:
        handles = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))
                stack.callback(os.close, handles[-1])
        for number in (signal.SIGTERM, signal.SIGKILL):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            handles = still_there(handles)


def still_there(handles: list[int]) -> list[int]:
    """Those of some processes that have not ended after the time given to them."""
    left = []
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(PATIENCE * 1000):
            left.append(handle)
    return left
