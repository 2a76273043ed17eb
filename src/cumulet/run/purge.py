"""Taking a cloud off its machine: guests, networks, files. A purge that was cut off is made whole by another."""

from __future__ import annotations

import shutil

from ..kernel.config import Config
from ..network.drivers.base import NetworkDriverError
from . import StartError
from .agent import Agent, Host, host_of
from .layout import Layout


async def remove_guests_and_networks(config: Config, layout: Layout) -> int:
    """End every guest and remove every network of the cloud from this machine; the number of guests. Its agent must not run.
    Raises StartError for what could not be removed."""
    agent = Agent(config, layout)
    names = [path.name for path in layout.agent.iterdir() if (path / "compute").is_dir()]
    try:
        return sum([await _remove(host_of(agent, name), layout) for name in names])
    except (NetworkDriverError, OSError) as error:
        raise StartError(f"Not everything could be removed ({error}): try again.") from None


async def _remove(host: Host, layout: Layout) -> int:
    servers = await host.compute.list() if layout.servers(host.name).is_dir() else []
    for server in servers:
        await host.compute.destroy(server.id)
    host.images.open()
    host.images.evict()
    await host.images.settled()
    await host.network.remove()
    return len(servers)


def remove_files(config: Config, layout: Layout) -> list[str]:
    """Remove what the cloud kept, its directory's version last; names of other files that are in the directory."""
    stores = [path for path in config.image_directories.values() if layout.root in path.resolve().parents]
    for directory in (*stores, layout.control, layout.images, layout.volumes, layout.agent, layout.metadata, layout.log, layout.run):
        shutil.rmtree(directory, ignore_errors=True)
    for file in (layout.clouds, layout.openrc, layout.settings, layout.root / "policy.yaml", layout.root / "guest.qcow2", layout.version):
        file.unlink(missing_ok=True)
    left = sorted(path.name for path in layout.root.iterdir())
    if not left:
        layout.root.rmdir()
    return left
