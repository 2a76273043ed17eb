"""Where backups are kept: files of the control plane's, beside its images. A backup is a raw, whole copy of its volume."""

from __future__ import annotations

from pathlib import Path

from ..kernel.runtime import Runtime


def backup_path(runtime: Runtime, id: str) -> Path:
    """Where a host of this machine writes a backup's data, and reads it."""
    directory = runtime.config.root / "images" / "backups"
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    return directory / id
