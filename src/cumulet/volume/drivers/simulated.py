"""Volumes that are only remembered: a shipped part for trying a cloud, and its failures, without storage."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from ...kernel import ids, recipe
from ...kernel.process import CommandFailed, run
from .base import Capacity, Source, VolumeDriverError
from .file import qemu_name

Call = t.Literal["create", "delete", "extend", "snapshot", "delete_snapshot", "revert", "copy_to_image", "connection"]


class Recipe(recipe.Recipe, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of the simulated back end, and what befalls its calls."""

    total_gib: t.Annotated[int, msgspec.Meta(ge=1)] = 100_000
    calls: dict[Call | t.Literal["*"], recipe.Trouble] = {}


class _State(msgspec.Struct):
    """Sizes in GiB by id."""

    volumes: dict[str, int] = {}
    snapshots: dict[str, int] = {}


class SimulatedDriver:
    """`state` is the file that remembers the volumes over a restart; without one they live as long as the process."""

    def __init__(self, recipe: Recipe | None = None, state: Path | None = None):
        self._recipe = recipe or Recipe()
        self._file = state
        self._state = _State()

    async def open(self) -> None:
        if self._file is not None and self._file.exists():
            self._state = msgspec.json.decode(self._file.read_bytes(), type=_State)

    async def capacity(self) -> Capacity:
        total = self._recipe.total_gib
        return Capacity(total_gib=total, free_gib=self._free, thin=False, protocol="simulated", vendor="Cumulet")

    async def list(self) -> dict[str, list[str]]:
        return {"volumes": sorted(self._state.volumes), "snapshots": sorted(self._state.snapshots)}

    async def create(self, id: str, size_gib: int, source: Source) -> None:
        async with self._call("create"):
            if _checked(id) not in self._state.volumes:
                self._must_fit(size_gib, source)
                self._must_have_room(size_gib)
                self._state.volumes[id] = size_gib

    async def delete(self, id: str) -> None:
        async with self._call("delete"):
            self._state.volumes.pop(_checked(id), None)

    async def extend(self, id: str, size_gib: int) -> None:
        async with self._call("extend"):
            present = self._volume(id)
            if size_gib < present:
                raise VolumeDriverError(f"{id} has {present} GiB and cannot shrink to {size_gib} GiB")
            self._must_have_room(size_gib - present)
            self._state.volumes[id] = size_gib

    async def snapshot(self, id: str, volume_id: str) -> None:
        async with self._call("snapshot"):
            if _checked(id) not in self._state.snapshots:
                self._state.snapshots[id] = self._volume(volume_id)

    async def delete_snapshot(self, id: str) -> None:
        async with self._call("delete_snapshot"):
            self._state.snapshots.pop(_checked(id), None)

    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        async with self._call("revert"):
            self._volume(volume_id)
            self._snapshot(snapshot_id)

    async def copy_to_image(self, id: str, path: str, format: str) -> None:
        """An empty image as large as the volume; a raw one has 1 MiB, so that nobody has to read gibibytes of zeros."""
        async with self._call("copy_to_image"):
            volume_gib = self._volume(id)
            size = "1M" if format == "raw" else f"{volume_gib}G"
            try:
                await run("qemu-img", "create", "-q", "-f", qemu_name(format), path, size)
            except CommandFailed as error:
                raise VolumeDriverError(str(error)) from None

    async def connection(self, id: str, host: str) -> dict:
        async with self._call("connection"):
            self._volume(id)
            return {"driver": "simulated", "volume_id": id}

    @contextlib.asynccontextmanager
    async def _call(self, name: Call) -> AsyncIterator[None]:
        """What the recipe has for the call, and the state kept once it has had its effect."""
        async with self._recipe.call(name, name, VolumeDriverError):
            yield
            self._save()

    def _save(self) -> None:
        if self._file is not None:
            new = self._file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._state))
            new.replace(self._file)

    def _must_fit(self, size_gib: int, source: Source) -> None:
        match source:
            case Source(volume_id=None, snapshot_id=None):
                needed = 0
            case Source(volume_id=str(id), snapshot_id=None, image=None):
                needed = self._volume(id)
            case Source(volume_id=None, snapshot_id=str(id), image=None):
                needed = self._snapshot(id)
            case _:
                raise VolumeDriverError("a volume starts from one thing: a volume, a snapshot or an image")
        if needed > size_gib:
            raise VolumeDriverError(f"the source needs {needed} GiB, the volume has {size_gib} GiB")

    def _must_have_room(self, more_gib: int) -> None:
        if more_gib > self._free:
            raise VolumeDriverError(f"no space left: {self._free} GiB free of {self._recipe.total_gib} GiB")

    @property
    def _free(self) -> int:
        return self._recipe.total_gib - sum(self._state.volumes.values())

    def _volume(self, id: str) -> int:
        if _checked(id) not in self._state.volumes:
            raise VolumeDriverError(f"there is no volume {id}")
        return self._state.volumes[id]

    def _snapshot(self, id: str) -> int:
        if _checked(id) not in self._state.snapshots:
            raise VolumeDriverError(f"there is no snapshot {id}")
        return self._state.snapshots[id]


def _checked(id: str) -> str:
    if not ids.is_uuid(id):
        raise VolumeDriverError(f"{id!r} is not a UUID")
    return id
