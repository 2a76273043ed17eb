"""What a volume driver must do. Sizes are GiB where a name says so, else bytes."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ...image.drivers.base import ImageSource


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    total_gib: float
    free_gib: float
    thin: bool
    protocol: str
    """What the back end reports as `storage_protocol`."""
    vendor: str


class Source(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a new volume starts from: exactly one of these, or none for an empty one."""

    volume_id: str | None = None
    snapshot_id: str | None = None
    image: ImageSource | None = None


class VolumeDriverError(Exception):
    """The back end could not do it; the text says what and why."""


class VolumeDriver(Protocol):
    """One storage back end. Every call is idempotent."""

    async def open(self) -> None: ...
    async def capacity(self) -> Capacity: ...
    async def list(self) -> dict[str, list[str]]:
        """Ids that the back end holds: `{"volumes": [...], "snapshots": [...]}`."""
        ...

    async def create(self, id: str, size_gib: int, source: Source) -> None: ...
    async def delete(self, id: str) -> None:
        """No volume of that id is success."""

    async def extend(self, id: str, size_gib: int) -> None: ...
    async def snapshot(self, id: str, volume_id: str) -> None: ...
    async def delete_snapshot(self, id: str) -> None: ...
    async def revert(self, volume_id: str, snapshot_id: str) -> None: ...
    async def copy_to_image(self, id: str, path: str, format: str) -> None:
        """Write the volume to `path` in an image format (raw, qcow2, vmdk, vdi, vpc)."""

    async def connection(self, id: str, host: str) -> dict:
        """How a host's hypervisor reaches the volume: `{"driver": "file", "path": ..., "format": "raw"}`."""
        ...
