"""Small files of the driver: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, content: str | bytes, *, mode: int = 0o600, group: int = -1) -> None:
    """Replace a file in one step, so that a crash leaves the former one or this one.

    `group` is who may read it where `mode` says so; -1 leaves the caller's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with open(draft, "wb") as file:
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), -1, group)
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read(path: Path) -> str | None:
    """A file's text; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return None
