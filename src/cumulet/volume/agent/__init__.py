"""Block storage's commands on a host: the volume driver's calls."""

from __future__ import annotations

from ...kernel.bus.agent import Commands
from ..drivers.base import VolumeDriver


def register(commands: Commands, driver: VolumeDriver) -> None:
    """Add every volume command of one host."""
    for name in ("create", "delete", "extend", "snapshot", "delete_snapshot", "revert", "copy_to_image", "connection", "capacity", "list"):
        commands.add(f"volume.{name}", getattr(driver, name))
