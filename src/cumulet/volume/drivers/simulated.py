"""Volumes that are only remembered: a shipped part for trying a cloud, and its failures, without storage.

A recipe gives every call a latency and a chance to fail. Its `fail_file`, read anew at each call, switches failures
on in a process that runs: each line is a call's name, and `before` or `after` its effect (`create after`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from ...kernel import ids
from ...kernel.process import CommandFailed, run
from .base import Capacity, Source, VolumeDriverError
from .file import qemu_name


class Recipe(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulated back end behaves. The keys of `latency` and `fail` are names of the driver's calls."""

    total_gib: int = 100_000
    latency: dict[str, float] = {}
    """Seconds that a call takes."""
    fail: dict[str, float] = {}
    """Probability, 0 to 1, that a call fails before it does anything."""
    fail_file: str | None = None
    seed: int | None = None
    """Makes the failures come in the same order each time."""


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
        self._dice = random.Random(self._recipe.seed)

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
    async def _call(self, name: str) -> AsyncIterator[None]:
        """Latency, failures, and the state kept once the call has had its effect."""
        await asyncio.sleep(self._recipe.latency.get(name, 0))
        switched_on = self._switched_on()
        if f"{name} before" in switched_on or self._dice.random() < self._recipe.fail.get(name, 0):
            raise VolumeDriverError(f"{name} failed, as the recipe says")
        yield
        self._save()
        if f"{name} after" in switched_on:
            raise VolumeDriverError(f"{name} failed after its effect, as the recipe says")

    def _switched_on(self) -> list[str]:
        if self._recipe.fail_file is None:
            return []
        try:
            return Path(self._recipe.fail_file).read_text().splitlines()
        except FileNotFoundError:
            return []

    def _save(self) -> None:
        if self._file is not None:
            new = self._file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._state))
            new.replace(self._file)

    def _must_fit(self, size_gib: int, source: Source) -> None:
        match source:
            case Source(volume_id=None, snapshot_id=None):
                needed = 0
            case Source(volume_id=str(id), snapshot_id=None, image_path=None):
                needed = self._volume(id)
            case Source(volume_id=None, snapshot_id=str(id), image_path=None):
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
