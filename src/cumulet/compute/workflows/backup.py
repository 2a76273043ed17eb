"""Backups: snapshots of which only so many are kept."""

from __future__ import annotations

import sqlalchemy as sa

from ... import image as images
from ...image.images import images as table
from ...kernel.db import Tx
from ..servers.tables import servers
from .snapshot import SnapshotServer


class BackupServer(SnapshotServer):
    """`kind` is the backup's type, of which the server keeps the newest `rotation`."""

    take = SnapshotServer.take

    def succeeded(self, tx: Tx) -> None:
        super().succeeded(tx)
        properties = table.c.properties
        mine = sa.select(table.c.id).where(
            table.c.owner == tx.one(servers, id=self.subject).project_id,
            properties["image_type"].as_string() == "backup",
            properties["instance_uuid"].as_string() == self.subject,
            properties["backup_type"].as_string() == self.state["kind"],
        )
        for row in tx.all(mine.order_by(table.c.created_at.desc(), table.c.id))[self.state["rotation"] :]:
            images.abandon(tx, row.id)
