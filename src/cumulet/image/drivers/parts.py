"""Files on their way into a cache: under a name of their own, locked as long as whoever writes them lives."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ...kernel.files import remove_abandoned

POLL = 0.2
"""Seconds between looks at whether another process is done with a file."""


@contextlib.asynccontextmanager
async def writing(part: Path) -> AsyncIterator[int]:
    """A new, empty file of this name, for this process alone to write. Another process that has it is waited for; what a dead one
    left is removed first, and so is what is left under the name at the end of the block."""
    while True:
        if (fd := _create(part)) is not None:
            break
        await asyncio.sleep(POLL)
    try:
        yield fd
    finally:
        part.unlink(missing_ok=True)
        os.close(fd)


def _create(part: Path) -> int | None:
    """Never an old file opened anew: it might have become another name of what somebody else keeps."""
    remove_abandoned(part)
    try:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    os.close(fd)  # somebody took it for abandoned between creating and locking
    return None
