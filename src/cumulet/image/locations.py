"""Where the data of each image is: a row for each copy, there before its first byte and until its last is removed."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import MANY, Row, Tx, table
from ..kernel.runtime import Runtime
from .stores.registry import STAGING

locations = table(
    "image_locations",
    sa.Column("image_id", sa.String(64), sa.ForeignKey("images.id", ondelete="SET NULL"), index=True),
    sa.Column("store", sa.String(64), nullable=False),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("position", sa.Integer, nullable=False, default=0),
    sa.Column("metadata", sa.JSON, nullable=False),
)
"""`status` is pending while data comes, then active. A row without an image says that the key's data is to be removed, which
the reconciler does; then the row goes too, save where an upload may yet come back that was taken for dead: that one stays for
a while as `removed`, and is `late`, to be removed again, once it has ended. `position` orders an image's rows. `updated_at` of
one that is pending is when its upload last gave a sign of life."""

BEAT = 10.0
"""Seconds between an upload's signs of life."""


def begin(tx: Tx, image_id: str, store: str, *, position: int = 0) -> Row:
    """A place for data to come to: a row with a `key` that nobody had before."""
    return tx.insert(
        locations, image_id=image_id, store=store, key=ids.new(), status="pending", position=position, metadata={}, updated_at=clock.now()
    )


def add(tx: Tx, image_id: str, store: str, key: str, metadata: dict[str, t.Any], *, position: int = 0) -> Row:
    """A place where data is already, which somebody else brought there."""
    return tx.insert(locations, image_id=image_id, store=store, key=key, status="active", position=position, metadata=metadata)


def refuse(tx: Tx, image_id: str, store: str, key: str) -> None:
    """What somebody else brought to a place is not what it was said to be. Nobody reads it, and of the last such place an image without
    data tells the store, as the real service does, which cannot take such a place from an image."""
    tx.delete(locations, image_id=image_id, status="refused")
    tx.insert(locations, image_id=image_id, store=store, key=key, status="refused", metadata={})


def finish(tx: Tx, id: str) -> bool:
    """The data is there, whole: it is the image's from now on. False where nobody waits for it any more, because the image was
    deleted or the upload taken for dead: then the data is removed."""
    if tx.execute(_FINISH, {"of": id, "now": clock.now()}).rowcount == 1:
        return True
    late(tx, id)
    return False


def late(tx: Tx, id: str) -> None:
    """Data may have come after all to a place from which it was removed, or is being removed at this moment: look once more."""
    tx.execute(_LATE, {"of": id})
    tx.nudge("images")


def forget(tx: Tx, id: str) -> None:
    """The image has this data no longer, or it will not come. It is removed once this has committed."""
    tx.update(locations, id, image_id=None)
    tx.nudge("images")


def of(tx: Tx, image_id: str) -> list[Row]:
    """Where an image's data is, in the order in which it is to be looked for."""
    return tx.all(_OF, {"image_id": image_id})


def told_of_many(tx: Tx, image_ids: t.Collection[str]) -> dict[str, list[Row]]:
    """The same for several images, and of those without data the place that was refused; images that have none are left out."""
    found: dict[str, list[Row]] = {}
    for row in tx.many(_TOLD_OF_MANY, image_ids):
        found.setdefault(row.image_id, []).append(row)
    return found


@contextlib.asynccontextmanager
async def beating(runtime: Runtime, place: Row, gone: Exception) -> t.AsyncIterator[None]:
    """Show that an upload to a place lives, for as long as it does. Raises `gone`, and ends it, where nobody waits for it any
    more."""
    upload, lost = asyncio.current_task(), False

    async def beat() -> None:
        nonlocal lost
        while not lost:
            await asyncio.sleep(BEAT)
            lost = not await runtime.db.write(lambda tx: tx.execute(_BEAT, {"of": place.id, "now": clock.now()}).rowcount)
        if upload is not None:
            upload.cancel()

    beating = asyncio.create_task(beat())
    try:
        yield
    except asyncio.CancelledError:
        if upload is None or not lost or upload.uncancel():
            raise
        raise gone from None
    finally:
        beating.cancel()


# -- statements ----------------------------------------------------------------------------------------------------

_c = locations.c
_WANTED = sa.update(locations).where(_c.id == sa.bindparam("of"), _c.image_id.is_not(None)).values(updated_at=sa.bindparam("now"))
_FINISH = _WANTED.values(status="active")
_BEAT = _WANTED.where(_c.status == "pending")
_LATE = sa.update(locations).where(_c.id == sa.bindparam("of"), _c.status != "active").values(status="late")
_IN_ORDER = sa.select(locations).order_by(_c.position, _c.created_at)
_KEPT = sa.and_(_c.status == "active", _c.store != STAGING)
_OF = _IN_ORDER.where(_c.image_id == sa.bindparam("image_id"), _KEPT)
_TOLD_OF_MANY = _IN_ORDER.where(_c.image_id.in_(MANY), sa.or_(_KEPT, _c.status == "refused"))
