"""Starting QEMU processes that outlive this one, finding them again, and ending the right ones."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cumulet.compute.drivers.qemu.accounts import PLACE, Account, given
from cumulet.kernel.held import Process

CLONE_FS = 0x200
"""linux/sched.h: the working directory, the root and the umask."""

libc = ctypes.CDLL(None, use_errno=True)


def spawn(argv: list[str], directory: Path, descriptors: list[int], account: Account) -> Process:
    """Start the process of the server in `directory`, in a session of its own, with its errors in qemu.log there.

    The thread that forks it stands in its place already, so that `find` knows it from its first instant on: there is
    none at which we can be killed and it is not found. Raises OSError.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_spawn, argv, directory, descriptors, account).result()


def _spawn(argv: list[str], directory: Path, descriptors: list[int], account: Account) -> Process:
    if libc.unshare(CLONE_FS):
        raise OSError(ctypes.get_errno(), "a thread could not have a working directory of its own")
    os.chdir(directory / PLACE)
    log = os.open(directory / "qemu.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
            # Nothing else of ours: the environment may hold passwords.
            env={"PATH": os.environ.get("PATH", os.defpath)},
            **account.process(),
        )
    finally:
        os.close(log)
    # It is to outlive this object, which would otherwise complain of that; `Process` reaps it.
    process.returncode = 0
    return Process(process.pid)


def find(servers: Path) -> dict[str, Process]:
    """Server id -> its process, for every server under `servers` that has one: from the instant that it is forked,
    QEMU or not yet, until it is over."""
    numbers = given(servers)
    found: dict[str, Process] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (id := _server_of(entry.path, servers, numbers)):
            with contextlib.suppress(ProcessLookupError):
                process = Process(int(entry.name))
                # Asked again: by now the process of that id could have been another.
                if process.alive() and _server_of(entry.path, servers, numbers) == id:
                    found[id] = process
    return found


def _server_of(process: str, servers: Path, numbers: dict[int, str]) -> str | None:
    """Whose a process is: the server's in whose place it stands. One that is ending stands nowhere, but has its number."""
    try:
        place = Path(os.readlink(f"{process}/cwd"))
    except FileNotFoundError:
        with contextlib.suppress(FileNotFoundError):
            return numbers.get(os.stat(process).st_uid)
        return None
    except OSError:
        return None
    return place.parent.name if place.name == PLACE and place.parent.parent == servers else None
