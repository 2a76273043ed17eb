"""What an image store must do: keep the bytes of images, whole or not at all. Sizes and offsets are bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from ..formats import Inspected

Accept = Callable[[Inspected], None]
"""Looks at what an image turned out to be, before it is kept; raises to refuse it."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image once all of it was seen. The digests are hexadecimal."""

    size: int
    checksum_md5: str
    os_hash_value: str
    """SHA-512."""
    inspected: Inspected


class StoreError(Exception):
    """The store could not do it; the text says what and why."""


class StoreFull(StoreError):
    """There is no room for the image; the text says where, and how much is free."""


class NoImageData(StoreError):
    """The store has no data of that image."""


class Store(Protocol):
    """One place for image data. Every call is idempotent, and an image is there whole or not at all."""

    async def put(self, image_id: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        """Keep what the chunks hold, in place of what the image had before. Whatever goes wrong, an exception from
        `chunks` or `accept` included, nothing of it stays. Raises StoreFull."""
        ...

    async def adopt(self, image_id: str, path: Path, accept: Accept | None = None) -> Stored:
        """Take over a finished file of this host, which is gone from `path` afterwards. Raises NoImageData where
        there is neither that file nor the image, StoreFull."""
        ...

    async def open(self, image_id: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, without it. Raises NoImageData before anything is read."""
        ...

    def path(self, image_id: str) -> Path:
        """Where the image's file is or would be, for a hypervisor or volume driver of the same host."""
        ...

    async def delete(self, image_id: str) -> None:
        """No data of that image is success."""
        ...

    async def list(self) -> list[str]:
        """Ids of the images that the store holds."""
        ...

    async def sweep(self) -> list[str]:
        """Remove what killed uploads left behind, and say which files those were. Running uploads are not touched."""
        ...
