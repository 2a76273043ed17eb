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

LONGEST = 4096
"""Characters of a password."""
KEEP_SECONDS = 300.0
KEEP_MOST = 10_000


def hashed(password: str, rounds: int) -> str:
    """The bcrypt hash of a password, at 2^rounds."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode()


def matches(password: str, held: str) -> bool:
    return bcrypt.checkpw(_digest(password), held.encode())


class Checker:
    """Checks passwords in threads of its own, and remembers for five minutes which were right, by a keyed digest
    of hash and password: a client that logs in again and again costs one bcrypt."""

    def __init__(self, rounds: int):
        self._rounds = rounds
        self._key = os.urandom(32)
        self._right: collections.OrderedDict[bytes, float] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._threads = cf.ThreadPoolExecutor(2, "password")

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, hashed, password, self._rounds)

    async def check(self, password: str, held: str | None) -> bool:
        """Whether a password is the one hashed; for no hash (an unknown user) no, after as long."""
        mark = hmac.digest(self._key, f"{held}|{password}".encode("utf-8", "surrogatepass"), "sha256")
        if self._remembered(mark):
            return True
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, matches, password, held or _nobodys(self._rounds))
        if right and held is not None:
            self._remember(mark)
            return True
        return False

    def _remembered(self, mark: bytes) -> bool:
        return self._right.get(mark, 0.0) > time.monotonic()

    def _remember(self, mark: bytes) -> None:
        with self._lock:
            self._right[mark] = time.monotonic() + KEEP_SECONDS
            self._right.move_to_end(mark)
            while len(self._right) > KEEP_MOST:
                self._right.popitem(last=False)


def _digest(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())


@functools.cache
def _nobodys(rounds: int) -> str:
    return hashed(os.urandom(16).hex(), rounds)
