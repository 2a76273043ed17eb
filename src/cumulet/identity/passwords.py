"""Password hashes, and the memory of those checked lately.

A password is digested with SHA-256 before bcrypt sees it: bcrypt reads 72 bytes and no NUL, a password may have more.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import concurrent.futures as cf
import functools
import hashlib
import hmac
import os
import threading
import time

import bcrypt
from prometheus_client import Histogram

from ..kernel.metrics import REGISTRY

LONGEST = 4096
"""Characters of a password."""
THREADS, NICE = 2, 10
"""Hashing runs in so many threads, and gives way to whatever else the host has to do: a flood of logins makes logins wait, and
nobody who has a token."""
HASHED = Histogram("cumulet_password_seconds", "Time to hash a password", registry=REGISTRY, buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 5))
KEEP_SECONDS = 300.0
KEEP_MOST = 10_000


def hashed(password: str, rounds: int) -> str:
    """The bcrypt hash of a password, at 2^rounds."""
    with HASHED.time():
        return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode()


def matches(password: str, held: str) -> bool:
    with HASHED.time():
        return bcrypt.checkpw(_digest(password), held.encode())


class Checker:
    """Checks passwords in threads of its own, and remembers for five minutes which were right, by a keyed digest
    of hash and password: a client that logs in again and again costs one bcrypt, and so do many at once that bring the same.
    Those that wait are no more than there are connections, for each has one: none is turned away for there being many."""

    def __init__(self, rounds: int):
        self._rounds = rounds
        self._key = os.urandom(32)
        self._right: collections.OrderedDict[bytes, float] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._running: dict[bytes, asyncio.Future[bool]] = {}
        self._threads = cf.ThreadPoolExecutor(THREADS, "password", _give_way)
        self._threads.submit(_nobodys, rounds)

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, hashed, password, self._rounds)

    async def check(self, password: str, held: str | None) -> bool:
        """Whether a password is the one hashed; for no hash (an unknown user) no, after as long."""
        mark = hmac.digest(self._key, f"{held}|{password}".encode("utf-8", "surrogatepass"), "sha256")
        if self._remembered(mark):
            return True
        running = self._running.get(mark)
        if running is None:
            running = self._running[mark] = asyncio.get_running_loop().run_in_executor(self._threads, self._matches, password, held)
            running.add_done_callback(lambda _: self._running.pop(mark, None))
        right = await asyncio.shield(running)
        if right and held is not None:
            self._remember(mark)
            return True
        return False

    def _matches(self, password: str, held: str | None) -> bool:
        return matches(password, held or _nobodys(self._rounds))

    def _remembered(self, mark: bytes) -> bool:
        return self._right.get(mark, 0.0) > time.monotonic()

    def _remember(self, mark: bytes) -> None:
        with self._lock:
            self._right[mark] = time.monotonic() + KEEP_SECONDS
            self._right.move_to_end(mark)
            while len(self._right) > KEEP_MOST:
                self._right.popitem(last=False)


def _give_way() -> None:
    """Linux has niceness for each thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _digest(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())


@functools.cache
def _nobodys(rounds: int) -> str:
    return hashed(os.urandom(16).hex(), rounds)
