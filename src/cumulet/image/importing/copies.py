"""What the sagas of imports have in common: bringing data to a place, and to one store after the other."""

from __future__ import annotations

import time
import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed
from ...kernel.work.saga import Lost
from .. import locations, tasks
from ..images import images
from ..stores.base import Accept, Stored, StoreError
from ..stores.registry import STAGING, stores

NEWS = 5.0
"""Seconds after which a task tells anew how far it is."""
Open = t.Callable[[], t.Awaitable[tuple[t.AsyncIterator[bytes], Accept]]]
"""Data from its beginning, and what looks at it before it is kept."""


async def keep(saga: Saga, store: str, chunks: t.AsyncIterator[bytes], accept: Accept | None = None, *, position: int = 0,
               kept: t.Callable[[Tx, Stored], None] = lambda tx, stored: None) -> tuple[str, Stored]:  # fmt: skip
    """Bring data for the saga's image to a store; its key there. `kept` is called in the transaction that makes the
    data the image's. Raises StoreError, what `chunks` and `accept` raise."""
    begun = await saga.write(lambda tx: place(tx, saga, store, position))
    stored = await stores(saga.runtime)[store].put(begun.key, counted(saga, chunks), accept)
    await finish(saga, begun, lambda tx: kept(tx, stored))
    return begun.key, stored


def place(tx: Tx, saga: Saga, store: str, position: int = 0) -> Row:
    """Where data for the saga's image can come to. What a worker that died had begun to bring is forgotten, and what was staged
    before what is staged now."""
    image_id = saga.state["image_id"]
    forget(tx, image_id, store, besides=saga.state.get("key") if store == STAGING else None)
    tasks.tell(tx, saga.subject, "")
    return locations.begin(tx, image_id, store, position=position)


async def finish(saga: Saga, place: Row, kept: t.Callable[[Tx], None] = lambda tx: None) -> None:
    """The data at a place is whole, and the image's. Where the image was deleted meanwhile, or another worker has the import, it
    is removed."""

    def write(tx: Tx) -> None:
        if not locations.finish(tx, place.id):
            raise StepFailed("The image was deleted.")
        kept(tx)

    try:
        await saga.write(write)
    except Lost:
        await saga.runtime.db.write(lambda tx: locations.late(tx, place.id))
        raise


async def distribute(saga: Saga, source: Open, kept: t.Callable[[Tx, Stored], None]) -> None:
    """Bring data to every store that the saga's state names and that does not have it. Where not all have to succeed, one has
    to. Raises StepFailed, and what `source` and what looks at the data raise."""
    why = ""
    for position, store in enumerate(saga.state["stores"]):
        if not await saga.runtime.db.read(lambda tx, store=store: has(tx, saga, store)):
            why = await _bring(saga, source, store, position, kept) or why
    if why and len(await saga.runtime.db.read(lambda tx: missing(tx, saga))) == len(saga.state["stores"]):
        raise StepFailed(f"None of the uploads finished! {why}")


def note(tx: Tx, saga: Saga, store: str, *, failed: bool = False) -> None:
    """The image shows that a store has its data, or that it will not."""
    row = tx.one(images, id=saga.state["image_id"])
    told = row.import_stores
    tx.update(images, row.id, import_stores={
        "to": [one for one in told["to"] if one != store], "failed": [one for one in told["failed"] if one != store] + [store] * failed,
    })  # fmt: skip


def has(tx: Tx, saga: Saga, store: str) -> bool:
    """Whether a store has the data of the saga's image, whole."""
    return tx.first(sa.select(_c.id).where(_c.image_id == saga.state["image_id"], _c.store == store, _c.status == "active")) is not None


def missing(tx: Tx, saga: Saga) -> list[str]:
    """The stores that are to have the data and do not."""
    return [store for store in saga.state["stores"] if not has(tx, saga, store)]


def forget(tx: Tx, image_id: str, *chosen: str, besides: str | None = None) -> None:
    """Take an image's data from these stores, but for one key."""
    for row in tx.all(sa.select(locations.locations).where(_c.image_id == image_id, _c.store.in_(chosen))):
        if row.key != besides:
            locations.forget(tx, row.id)


async def counted(saga: Saga, chunks: t.AsyncIterator[bytes]) -> t.AsyncIterator[bytes]:
    """The same bytes; the task tells now and then how many they are."""
    size, told = 0, time.monotonic()
    async for chunk in chunks:
        size += len(chunk)
        if time.monotonic() - told > NEWS:
            told = time.monotonic()
            await saga.write(lambda tx, size=size: tasks.tell(tx, saga.subject, f"Copied {size >> 20} MiB"))
        yield chunk


# -- helpers -------------------------------------------------------------------------------------------------------

_c = locations.locations.c


async def _bring(saga: Saga, source: Open, store: str, position: int, kept: t.Callable[[Tx, Stored], None]) -> str | None:
    """Why a store did not take the data; None where it did. One that all depends on is the last that is tried."""

    def noted(tx: Tx, stored: Stored) -> None:
        note(tx, saga, store)
        kept(tx, stored)

    try:
        await keep(saga, store, *await source(), position=position, kept=noted)
        return None
    except (StoreError, OSError) as error:
        why = f"The image could not be kept in {store}: {error}"
    if saga.state["must_succeed"]:
        raise StepFailed(why)
    await saga.write(lambda tx: note(tx, saga, store, failed=True))
    return why
