"""A disk that is soon full."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(directory: Path, options: str = "size=8m") -> Iterator[Path]:
    """A file system of 8 MiB of its own, or as tmpfs takes it from these options, mounted on a directory in a user namespace, so that nobody need be root.
    Gives the path by which everybody outside reaches it."""
    mount = 'mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && read -r end'
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(directory), options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip("this machine lets nobody make user namespaces")
        yield Path(f"/proc/{holder.pid}/root{directory}")
