"""Files that are there whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from pathlib import Path

from cumulet.kernel.files import settle


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in place in one step, on the disk before this returns."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    settle(part, path)
