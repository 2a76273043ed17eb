"""Exporting and importing what is known of a backup: a cloud that lost its database can take its backups' files back."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import typing as t

import msgspec

from ..kernel import clock, ids
from ..kernel.db import Tx
from ..kernel.http import BadRequest, Body, Request, View
from . import ADMIN, api
from .backup_rows import find_backup
from .backups import Backup
from .tables import backups
from .wire import links

SERVICE = "cinder.backup.drivers.posix.PosixBackupDriver"
"""What the field calls a back end of backups that are files."""

IMPORT = api.rule("backup:backup-import", ADMIN, "Import what is known of a backup.")
EXPORT = api.rule("backup:export-import", ADMIN, "Export what is known of a backup.")

Plain = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")]


class Origin(View):
    """What a volume made of the backup has from the one that was backed up."""

    bootable: bool = False
    metadata: dict[Plain, Plain] = {}
    image_metadata: dict[Plain, str] = {}


class Record(View, kw_only=True):
    """What is exported of a backup."""

    id: Plain
    volume_id: Plain
    size: t.Annotated[int, msgspec.Meta(ge=0, le=2147483647)]
    file_id: Plain
    name: Plain | None = None
    description: Plain | None = None
    container: Plain | None = None
    availability_zone: Plain | None = None
    data_timestamp: t.Annotated[dt.datetime, msgspec.Meta(tz=False)] | None = None
    metadata: dict[Plain, Plain] = {}
    origin: Origin = msgspec.field(default_factory=Origin)


class RecordImport(Body):
    backup_service: t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    backup_url: t.Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


class Exported(View):
    backup_service: str
    backup_url: str


@api.op("GET", "/backups/{id}/export_record", policy=EXPORT, reply="backup-record", errors=(400, 404))
def export(tx: Tx, request: Request, id: str) -> Exported:
    """Export what is known of a backup."""
    row = find_backup(tx, request, id)
    if row.status != "available":
        raise BadRequest(f"Invalid backup: Backup status must be available and not {row.status}.")
    record = Record(**{name: getattr(row, name) for name in Record.__struct_fields__ if name != "origin"}, origin=Origin(**row.origin))
    return Exported(backup_service=SERVICE, backup_url=base64.b64encode(msgspec.json.encode(record)).decode())


@api.op("POST", "/backups/import_record", policy=IMPORT, wrap="backup-record", reply="backup", status=201, errors=(400,))
def take_in(tx: Tx, request: Request, body: RecordImport) -> Backup:
    """Take in a backup that was exported; its file must be where it was."""
    if body.backup_service != SERVICE:
        raise BadRequest(f"Invalid input for field/attribute backup_service: {body.backup_service} is not {SERVICE}.")
    record = _decoded(body.backup_url)
    if not ids.is_uuid(record.id) or not ids.is_uuid(record.file_id):
        raise BadRequest("Invalid input for field/attribute backup_url: the backup's id is no UUID.")
    if tx.get(backups, id=record.id):
        raise BadRequest(f"Invalid backup: Backup already exists in database: {record.id}.")
    values = msgspec.structs.asdict(record) | {
        "data_timestamp": record.data_timestamp or clock.now(), "origin": msgspec.structs.asdict(record.origin),
    }  # fmt: skip
    row = tx.insert(backups, project_id=request.project, user_id=request.context.user_id, status="available", **values)
    return Backup(id=row.id, name=row.name, links=links(request, "backups", row.id))


def _decoded(text: str) -> Record:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=Record)
    except (binascii.Error, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f"Invalid input for field/attribute backup_url: {error}") from None
