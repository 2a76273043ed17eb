"""Making an image of a volume."""

from __future__ import annotations

import datetime as dt

from ... import image as images
from ...kernel.db import Tx
from ...kernel.work import Saga, step
from ..messages import told
from ..tables import volumes
from .rows import settle, volume_row


class UploadVolume(Saga):
    """The subject is the image; `volume_id` and `format` say what it is made of."""

    deadline = dt.timedelta(hours=2)

    @step
    async def copy(self) -> None:
        row = await volume_row(self, self.state["volume_id"])
        path = images.incoming(self.runtime, self.subject)
        await self.call(row.host, "volume.copy_to_image", timeout=3600, id=row.id, path=str(path), format=self.state["format"])

    @copy.undo
    async def undo_copy(self) -> None:
        images.incoming(self.runtime, self.subject).unlink(missing_ok=True)

    @step
    async def adopt(self) -> None:
        await images.adopt(self.runtime, self.subject, images.incoming(self.runtime, self.subject))

    def succeeded(self, tx: Tx) -> None:
        settle(tx, self.state["volume_id"], "uploading")

    def failed(self, tx: Tx, why: str) -> None:
        told(tx, tx.get(volumes, id=self.state["volume_id"]), "upload", why, self.request_id)
        images.abandon(tx, self.subject)
        settle(tx, self.state["volume_id"], "uploading")
