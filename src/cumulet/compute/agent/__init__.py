"""Compute's commands on a host: the hypervisor driver's calls, and what the control plane hears of by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import typing as t
from pathlib import Path

from ...image.drivers.base import Origin
from ...image.drivers.cache import ImageCache
from ...kernel.bus.agent import Commands
from ..drivers.base import ComputeDriver, Found, Machine, source_of
from .metadata import MetadataStore, Tree


def register(commands: Commands, driver: ComputeDriver, metadata: MetadataStore, cache: ImageCache) -> None:
    """Add every compute command of one host."""

    async def images(machine: Machine, origins: dict[str, Origin]) -> bool:
        wanted = [source_of(disk) for disk in driver.unmade(machine) if disk.image is not None]
        return all([await cache.want(source, origins[source.id]) for source in wanted])

    async def destroy(id: str) -> None:
        await driver.destroy(id)
        metadata.remove(id)

    async def tell(id: str, tree: Tree) -> None:
        metadata.put(id, tree)

    async def resize_disk(id: str, disk: str, size_bytes: int) -> None:
        await driver.resize_disk(id, disk, size_bytes)

    async def snapshot(id: str, path: str) -> None:
        await driver.snapshot(id, path)
        await asyncio.to_thread(_give, Path(path))

    async def listing() -> list[Found]:
        return await driver.list()

    calls: dict[str, t.Callable[..., t.Awaitable[t.Any]]] = {
        "start": driver.start, "stop": driver.stop, "reboot": driver.reboot, "destroy": destroy, "metadata": tell, "pause": driver.pause,
        "unpause": driver.unpause, "suspend": driver.suspend, "resume": driver.resume, "update": driver.update,
        "resize_disk": resize_disk, "snapshot": snapshot, "console_log": driver.console_log,
        "console_path": driver.console_path, "statistics": driver.statistics, "list": listing, "images": images,
    }  # fmt: skip
    for name, call in calls.items():
        commands.add(f"compute.{name}", call)


def _give(path: Path) -> None:
    """A file that is for the image service becomes the property of whoever owns its directory."""
    owner = path.parent.stat()
    shutil.chown(path, owner.st_uid, owner.st_gid)
    os.chmod(path, 0o640)
