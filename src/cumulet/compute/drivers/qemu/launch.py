"""Starting QEMU processes that outlive this one, finding them again, and ending the right ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import select
import signal
import subprocess
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError


class Account(msgspec.Struct, frozen=True):
    """The user that QEMU runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, name: str) -> Account:
        """Look a user up; the group of /dev/kvm is added where it is one made for it. Raises DriverError."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise DriverError(f"there is no user {name} to run QEMU as") from None
        groups = {*os.getgrouplist(name, entry.pw_gid)}
        with contextlib.suppress(FileNotFoundError):
            groups.add(os.stat("/dev/kvm").st_gid)
        return cls(entry.pw_uid, entry.pw_gid, tuple(sorted(groups - {0})))


class Process:
    """A running QEMU, held by a descriptor that stays its own even when its number is used again."""

    def __init__(self, pid: int):
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    async def ended(self, timeout: float | None = None) -> bool:
        """Wait until the process has ended, or `timeout` seconds; returns whether it has."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        copy = os.dup(self._fd)
        loop.add_reader(copy, over.set)
        try:
            async with asyncio.timeout(timeout):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(copy)
            os.close(copy)
        # A child of ours stays a zombie until it is waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return True

    def alive(self) -> bool:
        """Whether the process runs."""
        return not select.select([self._fd], [], [], 0)[0]

    async def kill(self) -> None:
        """End the process at once; it is gone when this returns."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        await self.ended()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            os.close(self._fd)


def spawn(argv: list[str], directory: Path, descriptors: list[int], account: Account | None) -> int:
    """Start a process in a session of its own, in `directory`, its errors in qemu.log there; returns its id."""
    who: dict = {}
    if account is not None:
        who = {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    with (directory / "qemu.log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
            **who,
        )
    # It is to outlive this object, which would otherwise complain of that; `Process` reaps it.
    process.returncode = 0
    return process.pid


def find(servers: Path) -> dict[str, int]:
    """Server id -> process id of every QEMU that runs in its directory under `servers`.

    A zombie has no command line, and so is not found.
    """
    found: dict[str, int] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            where = Path(os.readlink(f"/proc/{entry.name}/cwd"))
            if where.parent == servers and _runs_guest(entry.name, where.name):
                found[where.name] = int(entry.name)
    return found


def _runs_guest(pid: str, id: str) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return f"guest={id}".encode() in arguments
