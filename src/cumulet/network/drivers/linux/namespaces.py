"""Network namespaces by name, as `ip netns` keeps them, and working inside one."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cumulet.kernel import process

DIRECTORY = Path("/run/netns")
CLONE_NEWNET = 0x40000000

T = TypeVar("T")
libc = ctypes.CDLL(None, use_errno=True)


def path(name: str) -> Path:
    return DIRECTORY / name


def listed() -> set[str]:
    """Names of all namespaces, half-made ones included."""
    return {entry.name for entry in DIRECTORY.iterdir()} if DIRECTORY.is_dir() else set()


def identity(name: str) -> int | None:
    """A number that is another one once the namespace was made anew; None where there is no such namespace.

    A name whose file is not mounted is what is left of an interrupted `ip netns add`.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path(name).stat()
        if found.st_dev != DIRECTORY.stat().st_dev:
            return found.st_ino
    return None


async def add(name: str) -> None:
    if identity(name) is None:
        path(name).unlink(missing_ok=True)
        await process.run("ip", "netns", "add", name)


async def delete(name: str) -> None:
    if identity(name) is not None:
        await process.run("ip", "netns", "del", name)
    path(name).unlink(missing_ok=True)


def command(name: str | None, *argv: str) -> tuple[str, ...]:
    """The command line that runs `argv` in a namespace; None is the host's own."""
    return argv if name is None else ("nsenter", f"--net={path(name)}", *argv)


def inside(name: str | None, work: Callable[[], T]) -> T:
    """Call `work` in a namespace and return its result.

    A namespace belongs to a thread: the call happens in one of its own, which ends after.
    """
    if name is None:
        return work()

    def enter() -> T:
        switch(name)
        return work()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"netns-{name}") as thread:
        return thread.submit(enter).result()


def switch(name: str) -> None:
    handle = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter network namespace {name}: {os.strerror(code)}")
    finally:
        os.close(handle)


def sysctl(key: str, value: str) -> None:
    """Set one value below /proc/sys/net of the calling thread's namespace; one that the kernel lacks is left out."""
    place = Path("/proc/sys/net") / key
    with contextlib.suppress(FileNotFoundError):
        if place.read_text().strip() != value:
            place.write_text(value)
