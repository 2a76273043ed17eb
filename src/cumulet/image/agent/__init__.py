"""Images on a host: the commands that fill and clear its cache, and the loop that keeps that from growing."""

from __future__ import annotations

import asyncio

from ...kernel.bus.agent import Commands
from ...kernel.log import get_logger
from ..drivers.base import CachedFile, ImageSource, Origin, Removed
from ..drivers.cache import ImageCache

INTERVAL = 600.0
log = get_logger("agent")


def register(commands: Commands, cache: ImageCache) -> None:
    """Add every image command of one host."""

    async def want(image: ImageSource, origin: Origin, cached: bool) -> bool:
        return await cache.want(image, origin, cached=cached)

    async def cached() -> list[CachedFile]:
        return cache.files()

    async def evict(keys: set[str] | None) -> Removed:
        return cache.evict(keys)

    async def prune() -> Removed:
        return cache.prune()

    async def clean() -> Removed:
        return cache.clean()

    for call in (want, cached, evict, prune, clean):
        commands.add(f"image.{call.__name__}", call)


class Pruning:
    """Keeps a cache within its limits."""

    def __init__(self, cache: ImageCache):
        self._cache = cache

    async def run_once(self) -> None:
        self._cache.prune()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.run_once()
            except Exception:
                log.exception("the image cache could not be pruned")
            await asyncio.sleep(INTERVAL)
