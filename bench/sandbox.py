"""Where everything that is measured runs: network, mount and process namespaces of its own.

When the last process in it ends, or this one is killed, all that was started inside ends with it: guests, bridges, routers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import traceback
import typing as t
from pathlib import Path

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
"""From linux/sched.h."""
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""
_libc = ctypes.CDLL(None, use_errno=True)


def run_inside(main: t.Callable[[], int]) -> int:
    """Run `main` in new namespaces, with its loopback up; its exit code. Raises OSError where this user may not make them."""
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot make namespaces: {os.strerror(number)}; run this as root")
    return _wait_for(_forked(lambda: _first_process(main)))


def _first_process(main: t.Callable[[], int]) -> int:
    """The namespace's first process adopts orphans; the work is done by its child."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    Path("/run/netns").mkdir(parents=True, exist_ok=True)
    for argv in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "proc", "proc", "/proc"],
        ["mount", "-t", "tmpfs", "tmpfs", "/run/netns"],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(argv, check=True)
    return _wait_for(_forked(main))


def _forked(main: t.Callable[[], int]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait_for(child: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status)
