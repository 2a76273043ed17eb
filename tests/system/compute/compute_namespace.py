"""A network namespace of this process's own: taps made by the tests are on no link of the machine."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network() -> Iterator[None]:
    """Inside the block this thread is in an empty network namespace, which ends with its last process."""
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        yield
    finally:
        libc.setns(outside, CLONE_NEWNET)
        os.close(outside)
