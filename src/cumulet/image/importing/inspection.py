"""Looking at a staged file before anything opens it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..formats import Inspected, Inspector

PIECE = 4 << 20


async def inspected(path: Path) -> Inspected:
    """What a file is, told from its bytes alone."""
    inspector = Inspector()
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            inspector.feed(piece)
    return inspector.finish()
