"""Files that are written whole or not at all, and for good once they are: keys, for their owner alone unless it is said otherwise."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import typing as t
from pathlib import Path


def secret(path: Path) -> str:
    """What a file holds that nobody but this process's user may read. Raises OSError, PermissionError where others can."""
    with path.open() as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise PermissionError(f"{path} can be read by others: chmod 0600")
        return file.read().strip()


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file, in the place of one that is there."""
    with _fresh(path, data, mode) as fresh:
        os.replace(fresh, path)


def write_first(path: Path, data: bytes) -> None:
    """Write a file unless it is there: of several that do at once, the first one's stays."""
    with _fresh(path, data, 0o600) as fresh, contextlib.suppress(FileExistsError):
        os.link(fresh, path)


@contextlib.contextmanager
def turn(directory: Path) -> t.Iterator[None]:
    """One at a time changes the files of a directory, of all processes. Raises FileNotFoundError where there is none."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _fresh(path: Path, data: bytes, mode: int) -> t.Iterator[Path]:
    """The file under another name, to be put in its place."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
        sync(path.parent)


def settle(part: Path, path: Path) -> None:
    """Give a finished file its name for good."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Have what was renamed or removed in a directory outlive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(part: Path) -> bool:
    """Remove a file whose writer, who kept it locked (flock), is dead; whether that was so."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)
            return True
    except (FileNotFoundError, BlockingIOError):
        return False
