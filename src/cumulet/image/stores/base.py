"""What an image store must do: keep data by keys, whole or not at all. Sizes and offsets are bytes."""

from __future__ import annotations

import abc
import typing as t
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec

from ..drivers.base import BlockImage
from ..formats import Inspected

Accept = Callable[[Inspected], None]
"""Looks at what an image turned out to be, before it is kept; raises to refuse it."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of data once all of it was seen. The digests are hexadecimal."""

    size: int
    checksum_md5: str
    os_hash_value: str
    """SHA-512."""
    inspected: Inspected


class StoreError(Exception):
    """The store could not do it; the text says what and why."""


class StoreFull(StoreError):
    """There is no room for the data; the text says where, and how much is free."""


class StoreAway(StoreError):
    """The store is not reached, or does not answer; whatever else it is asked will end so too, and may take as long."""


class StoreInUse(StoreError):
    """Something of others stands on the data, which the text names; until that is gone, the data stays."""


class NoImageData(StoreError):
    """The store has no data of that key."""


class Store(abc.ABC):
    """One place for data. Keys are UUIDs that `image.locations` gives, each for one upload. Every call is idempotent and
    raises StoreError where the store cannot do it, and data is there whole or not at all."""

    properties: Mapping[str, t.Any] = {}
    """What administrators are told of it, by upstream's names. Sizes are in the units that those have there."""
    read_only = False

    @abc.abstractmethod
    def url(self, key: str) -> str:
        """What those are told who may know where data is. It has no secret in it."""

    @abc.abstractmethod
    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        """Keep what the chunks hold. Whatever goes wrong, an exception from `chunks` or `accept` included, nothing of it
        stays, save where the store is away: then `delete` removes it later. Raises StoreFull, StoreAway."""

    @abc.abstractmethod
    async def adopt(self, key: str, path: Path, accept: Accept | None = None) -> Stored:
        """Take over a finished file of this host, which may be gone from `path` afterwards. Raises NoImageData where there
        is neither that file nor data of the key, StoreFull."""

    @abc.abstractmethod
    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, without it. Raises NoImageData before anything is read."""

    @abc.abstractmethod
    async def delete(self, key: str) -> None:
        """Remove all there is of a key, what a killed upload left of it included. No data is success."""

    def path(self, key: str) -> Path | None:
        """Where the data is or would be, if that is a file of this host."""
        return None

    def block(self, key: str) -> BlockImage | None:
        """Where the data is or would be, if that is a block image that hosts can clone."""
        return None

    async def list(self) -> list[str]:
        """Keys of the data that is surely this cloud's own. A place that others may use too has none such."""
        return []

    async def sweep(self) -> list[str]:
        """Remove what killed uploads left outside of any key, and say what that was. Running uploads are not touched."""
        return []
