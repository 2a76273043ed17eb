"""Copying an image to further stores; it can be used meanwhile."""

from __future__ import annotations

import datetime as dt
import typing as t

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step
from .. import locations, tasks
from ..images import images
from ..importing import copies
from ..reading import opened
from ..stores.base import Accept, Stored, StoreError


class CopyImage(Saga):
    """The subject is the task; `image_id` and `stores` say what is copied and where to."""

    deadline = dt.timedelta(hours=12)

    @step
    async def copy(self) -> None:
        row = await self.runtime.db.read(lambda tx: tx.one(images, id=self.state["image_id"]))
        await copies.distribute(self, lambda: self._data(row.size), lambda tx, kept: _check_same(row, kept))

    @copy.undo
    def undo_copy(self, tx: Tx) -> None:
        """Copies that are there are kept where not all had to succeed."""
        for store in self.state["stores"]:
            if self.state["must_succeed"] or not copies.has(tx, self, store):
                copies.forget(tx, self.state["image_id"], store)

    def succeeded(self, tx: Tx) -> None:
        row = tx.one(images, id=self.state["image_id"])
        tx.update(images, row.id, import_task=None)
        tasks.succeed(tx, self.runtime.config, self.subject, f"Copied {row.size >> 20} MiB", image_id=row.id)

    def failed(self, tx: Tx, why: str) -> None:
        row = tx.get(images, id=self.state["image_id"])
        if row is not None:
            tx.update(images, row.id, import_task=None, import_stores={"to": [], "failed": copies.missing(tx, self)})
        tasks.fail(tx, self.runtime.config, self.subject, why)

    async def _data(self, size: int) -> tuple[t.AsyncIterator[bytes], Accept]:
        places = await self.runtime.db.read(lambda tx: locations.of(tx, self.state["image_id"]))
        try:
            return await opened(self.runtime, places, 0, size), lambda inspected: None
        except StoreError as error:
            raise StepFailed(f"The image's data is not there: {error}") from None


def _check_same(row: Row, kept: Stored) -> None:
    """Raise StepFailed where what was copied is not what was once brought; the transaction that would keep it is taken back."""
    if row.os_hash_algo == "sha512" and kept.os_hash_value != row.os_hash_value:
        raise StepFailed("The image's data is not what it was when it came: its digest is another.")
