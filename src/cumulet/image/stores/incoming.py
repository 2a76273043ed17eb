"""One file on its way into the file store, written under a temporary name."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

from ...kernel import files, ids
from .base import StoreError, StoreFull

MODE = 0o640
AT_ONCE = 64 << 10
"""Bytes that are written at once. For many the system takes large pages, of those that are free for long, and these a virtual machine
may have given back to its host: to get them again costs ten times what writing does."""


class Incoming:
    """The temporary file. It is locked as long as its writer lives: an unlocked one is a dead upload's. Raises StoreError.

    Its methods may run in threads that outlive the call which started them, so each holds the lock."""

    def __init__(self, directory: Path, key: str):
        self._directory = directory
        self._lock = threading.Lock()
        self._size = 0
        self.path, self._fd = _create(directory, key)

    def write(self, batch: bytes) -> None:
        """Raises StoreError."""
        view = memoryview(batch)
        try:
            while view:
                with self._lock:
                    view = view[os.write(self._fd, view[:AT_ONCE]) :]
            with self._lock:
                # Has the disk begin at once, so that it is not waited for at the end.
                os.posix_fadvise(self._fd, self._size, len(batch), os.POSIX_FADV_DONTNEED)
            self._size += len(batch)
        except OSError as error:
            raise failed(self._directory, error) from None

    def keep(self, target: Path) -> None:
        """Give the file its final name. Raises StoreError."""
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
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        except OSError as error:
            raise failed(directory, error) from None
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # a sweep came between creating and locking


def settle(fd: int, source: Path, target: Path) -> None:
    """Rename an open file so that after a power cut there is what was before or the new file, whole.

    Raises StoreError."""
    try:
        os.fchmod(fd, MODE)
        os.fsync(fd)
        source.rename(target)
        files.sync(target.parent)
    except OSError as error:
        raise failed(target.parent, error) from None


def failed(directory: Path, error: OSError) -> StoreError:
    """What an error of the system's means for the store: that there is no room, or something that its operator mends."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"The image store {directory} cannot be written: {error.strerror}")
    there = os.statvfs(directory)
    left = "it takes no more files" if there.f_files and not there.f_favail else f"{there.f_bavail * there.f_frsize / 2**20:.1f} MiB free"
    return StoreFull(f"The image store {directory} is full: {left}. Delete images or enlarge the disk.")
