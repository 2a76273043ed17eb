"""The token of whoever imports an image from another cloud, which is asked in their name: sealed while the work waits."""

from __future__ import annotations

from ...kernel.http import Request
from ...kernel.runtime import Runtime
from ...kernel.sealing import Box, box


def seal(request: Request) -> str:
    return _box(request.runtime).seal((request.token or "").encode()).decode()


def unseal(runtime: Runtime, sealed: str) -> str:
    """Raises Unsealable where the key is another since."""
    return _box(runtime).open(sealed.encode()).decode()


def _box(runtime: Runtime) -> Box:
    return box(runtime.config.root / "control" / "imports.key")
