"""Making an image of data that stays where it is on the web: it is read once, looked at and hashed on the way."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib

from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step
from .. import locations, tasks
from ..data import facts
from ..formats import UnsafeImage, check
from ..images import images
from ..importing.copies import counted
from ..signatures import verified
from ..stores.base import Stored, StoreError
from ..stores.registry import stores
from ..stores.streaming import Digest, pass_on


class ImportLocation(Saga):
    """The subject is the task. State: `image_id`; `store` and `url`, where the data is; `hash`, what was said of it; then `facts`,
    what the image is."""

    deadline = dt.timedelta(hours=12)

    @step
    async def read(self) -> dict:
        row = await self.runtime.db.read(lambda tx: tx.one(images, id=self.state["image_id"]))
        said = self.state["hash"]
        try:
            kept, found = await self._read(row, hashlib.new(said.get("os_hash_algo", "sha512"), usedforsecurity=False))
        except StoreError as error:
            raise StepFailed(f"The image could not be read: {error}") from None
        except UnsafeImage as error:
            raise StepFailed(f"The image was refused: {error}") from None
        if said and found != said["os_hash_value"].lower():
            raise StepFailed(f"os_hash_value: ({said['os_hash_value']}) not matched with actual os_hash_value: ({found})")
        return {"facts": facts(row.container_format, kept) | ({**said, "os_hash_value": found} if said else {})}

    def succeeded(self, tx: Tx) -> None:
        id = self.state["image_id"]
        locations.add(tx, id, self.state["store"], self.state["url"], {})
        tx.update(images, {"id": id, "import_task": self.subject}, status="active", import_task=None, **self.state["facts"])
        tasks.succeed(tx, self.runtime.config, self.subject, "", image_id=id)

    def failed(self, tx: Tx, why: str) -> None:
        id = self.state["image_id"]
        if tx.update(images, {"id": id, "import_task": self.subject}, status="queued", import_task=None):
            locations.refuse(tx, id, self.state["store"], self.state["url"])
        tasks.fail(tx, self.runtime.config, self.subject, why)

    async def _read(self, row: Row, asked: hashlib._Hash) -> tuple[Stored, str]:
        """What is known of the data, and its hash of the kind that was asked for."""
        digest = Digest()

        async def take(batch: bytes) -> None:
            await asyncio.gather(digest.feed(batch), asyncio.to_thread(asked.update, batch))

        chunks = await stores(self.runtime)[self.state["store"]].open(self.state["url"])
        given, accept = verified(
            self.runtime, row, counted(self, chunks), lambda found: check(row.disk_format, found, row.container_format)
        )
        await pass_on(given, take)
        return digest.finish(accept), asked.hexdigest()
