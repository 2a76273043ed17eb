"""The processes of a control plane, forked from one that has loaded all their code, so that they share its memory and start at once.

They live and die together: when one ends, the others are ended, and so is the one that they were forked from, which is started
again. Nothing of what they do depends on their ending well.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import typing as t

from ..kernel.parent import end_with_parent

HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
ENDING = 10.0
"""Seconds that they have to end in when they are told to."""
Role = t.TypeVar("Role")


def fork(roles: list[Role]) -> Role:
    """Go on as a process of each of these roles; returns in those alone. Here, it is waited until this process is told to
    end, or one of them ends by itself: then all are ended, and SystemExit is raised. This process has one thread and holds nothing open
    that cannot be shared."""
    gc.collect()
    gc.freeze()  # what is loaded is never looked at again, and its pages stay shared
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    pids = []
    for role in roles:
        pid = os.fork()
        if pid == 0:
            end_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            return role
        pids.append(pid)
    heard = signal.sigwait(HEARD)
    while heard == signal.SIGCHLD and not os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        heard = signal.sigwait(HEARD)  # one was stopped, or goes on
    _end(pids)
    sys.exit(1 if heard == signal.SIGCHLD else 0)


def _end(pids: list[int]) -> None:
    """End those that run yet, and wait for all."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    end, left = time.monotonic() + ENDING, set(pids)
    while left:
        left = {pid for pid in left if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if left and signal.sigtimedwait({signal.SIGCHLD}, max(0.0, end - time.monotonic())) is None:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            return
