"""The metadata of volumes and of snapshots: a mapping of texts, as a whole and key by key."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Request
from . import MEMBER, READER, api, snapshots, volumes
from .lookup import find, find_snapshot
from .tables import snapshots as snapshot_rows
from .tables import volumes as volume_rows
from .wire import Metadata, check_one_key

SHOW_VOLUME = api.rule("volume:get_volume_metadata", READER, "Show a volume's metadata.")
CREATE_VOLUME = api.rule("volume:create_volume_metadata", MEMBER, "Add to a volume's metadata.")
UPDATE_VOLUME = api.rule("volume:update_volume_metadata", MEMBER, "Change a volume's metadata.")
DELETE_VOLUME = api.rule("volume:delete_volume_metadata", MEMBER, "Remove a key of a volume's metadata.")
SHOW_SNAPSHOT = api.rule("volume:get_snapshot_metadata", READER, "Show a snapshot's metadata.")
UPDATE_SNAPSHOT = api.rule("volume:update_snapshot_metadata", MEMBER, "Change a snapshot's metadata.")
DELETE_SNAPSHOT = api.rule("volume:delete_snapshot_metadata", MEMBER, "Remove a key of a snapshot's metadata.")

Finder = t.Callable[[Tx, t.Any, str], Row]


def _declare(path: str, kind: str, table: sa.Table, find: Finder, target: t.Callable, rules: tuple[str, str, str, str]) -> None:
    """The operations on the metadata of one kind of thing."""
    may_show, may_add, may_change, may_delete = rules

    @api.op("GET", path, policy=may_show, target=target, reply="metadata", errors=(404,))
    def index(tx: Tx, request: Request, id: str) -> dict:
        """Show the metadata."""
        return find(tx, request.context, id).metadata

    @api.op("POST", path, policy=may_add, target=target, wrap="metadata", errors=(400, 404))
    def add(tx: Tx, request: Request, id: str, body: Metadata) -> dict:
        """Add keys, or change them."""
        row = _changeable(find(tx, request.context, id))
        tx.update(table, row.id, metadata=row.metadata | body)
        return row.metadata | body

    @api.op("PUT", path, policy=may_change, target=target, wrap="metadata", errors=(400, 404))
    def replace(tx: Tx, request: Request, id: str, body: Metadata) -> dict:
        """Have these keys and no others."""
        tx.update(table, _changeable(find(tx, request.context, id)).id, metadata=body)
        return body

    @api.op("GET", path + "/{key}", policy=may_show, target=target, reply="meta", errors=(404,))
    def show(tx: Tx, request: Request, id: str, key: str) -> dict:
        """Show one key."""
        return {key: _value(find(tx, request.context, id), kind, key)}

    @api.op("PUT", path + "/{key}", policy=may_change, target=target, wrap="meta", errors=(400, 404))
    def change(tx: Tx, request: Request, id: str, key: str, body: Metadata) -> dict:
        """Set one key."""
        row = _changeable(find(tx, request.context, id))
        check_one_key(body, key)
        tx.update(table, row.id, metadata=row.metadata | body)
        return body

    @api.op("DELETE", path + "/{key}", policy=may_delete, target=target, errors=(400, 404))
    def delete(tx: Tx, request: Request, id: str, key: str) -> None:
        """Remove one key."""
        row = _changeable(find(tx, request.context, id))
        _value(row, kind, key)
        tx.update(table, row.id, metadata={name: value for name, value in row.metadata.items() if name != key})


def _changeable(row: Row) -> Row:
    if row.status in ("maintenance", "uploading"):
        raise BadRequest(f"Invalid volume: Updating volume metadata is not allowed for volumes in {row.status} status.")
    return row


def _value(row: Row, kind: str, key: str) -> str:
    if key not in row.metadata:
        raise NotFound(f"{kind} {row.id} has no metadata with key {key}.")
    return row.metadata[key]


_declare("/volumes/{id}/metadata", "Volume", volume_rows, find, volumes.target,
         (SHOW_VOLUME, CREATE_VOLUME, UPDATE_VOLUME, DELETE_VOLUME))  # fmt: skip
_declare("/snapshots/{id}/metadata", "Snapshot", snapshot_rows, find_snapshot, snapshots.target,
         (SHOW_SNAPSHOT, UPDATE_SNAPSHOT, UPDATE_SNAPSHOT, DELETE_SNAPSHOT))  # fmt: skip
