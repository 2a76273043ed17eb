"""One file on its way into the file store: written under a temporary name, digested and inspected on the way."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import threading
from pathlib import Path

from ...kernel import ids
from ..formats import Inspector
from .base import Accept, Stored, StoreFull

MODE = 0o640


class Digest:
    """Both digests and the inspection of one image, fed batch by batch."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._inspector = Inspector()
        self._size = 0

    async def feed(self, batch: bytes) -> None:
        await asyncio.gather(asyncio.to_thread(self._md5.update, batch), asyncio.to_thread(self._sha512.update, batch))
        self._inspector.feed(batch)
        self._size += len(batch)

    def finish(self, accept: Accept | None) -> Stored:
        """What came; raises what `accept` raises."""
        inspected = self._inspector.finish()
        if accept is not None:
            accept(inspected)
        return Stored(
            size=self._size,
            checksum_md5=self._md5.hexdigest(),
            os_hash_value=self._sha512.hexdigest(),
            inspected=inspected,
        )


class Incoming:
    """The temporary file. It is locked as long as its writer lives: an unlocked one is a dead upload's.

    Its methods may run in threads that outlive the call which started them, so each holds the lock."""

    def __init__(self, directory: Path, key: str):
        self._directory = directory
        self._lock = threading.Lock()
        self.path, self._fd = _create(directory, key)

    def write(self, batch: bytes) -> None:
        """Raises StoreFull."""
        view = memoryview(batch)
        try:
            while view:
                with self._lock:
                    view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise full(self._directory, error) or error from None

    def keep(self, target: Path) -> None:
        """Give the file its final name. Raises StoreFull."""
        with self._lock:
            settle(self._fd, self.path, target)

    def close(self) -> None:
        """Remove the file where it was not kept."""
        with self._lock:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def _create(directory: Path, key: str) -> tuple[Path, int]:
    while True:
        path = directory / f"{key}.{ids.new_hex()}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # a sweep came between creating and locking


def remove_abandoned(path: Path) -> bool:
    """Remove a temporary file whose writer is dead; whether that was so."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    with contextlib.closing(os.fdopen(fd, "wb", closefd=True)):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink(missing_ok=True)
        return True


def settle(fd: int, source: Path, target: Path) -> None:
    """Rename an open file so that after a power cut there is what was before or the new file, whole.

    Raises StoreFull."""
    try:
        os.fchmod(fd, MODE)
        os.fsync(fd)
        source.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise full(target.parent, error) or error from None


def sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def full(directory: Path, error: OSError) -> StoreFull | None:
    """The store's own error, where the system's says that there is no room."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    free = shutil.disk_usage(directory).free / 2**20
    return StoreFull(f"The image store {directory} is full: {free:.1f} MiB free. Delete images or enlarge the disk.")
