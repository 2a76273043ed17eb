"""Backups of a server: `createBackup`."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Tx
from ...kernel.http import BadRequest, Body, Reply, Request
from .. import PROJECT_MEMBER, api
from ..wire import Name, Natural, number
from ..workflows.backup import BackupServer
from .create import Metadata, Text
from .disks import local_root
from .find import begin, find, target
from .snapshot import SNAPSHOTTABLE, accepted, reserve
from .states import Task


class CreateBackup(Body):
    name: Name
    backup_type: t.Annotated[Text, msgspec.Meta(min_length=1)]
    rotation: Natural
    metadata: Metadata = {}


BACKUP = api.rule("os_compute_api:os-create-backup", PROJECT_MEMBER, "Make a backup of a server.")


@api.op("POST", "/servers/{id}/action", action="createBackup", policy=BACKUP, target=target, status=202, errors=(400, 404, 409))
def create_backup(tx: Tx, request: Request, id: str, body: CreateBackup) -> Reply:
    """Make an image of a server's root disk, and remove the oldest of its kind beyond `rotation`."""
    row = find(tx, request, id)
    if not local_root(tx, id):
        raise BadRequest("Backup is not supported for volume-backed instances.")
    begin(tx, request, row, "createBackup", Task.BACKUP, vm=SNAPSHOTTABLE)
    rotation = number("rotation", body.rotation)
    image_id = reserve(tx, request, row, body.name, "backup", {**body.metadata, "backup_type": body.backup_type})
    BackupServer.start(tx, id, request_id=request.id, image=image_id, kind=body.backup_type, rotation=rotation)
    return accepted(request, image_id if rotation or request.version >= (2, 45) else None)
