"""Transfers: giving a volume to another project. Who is told the key, by whoever offers, accepts. At `os-volume-transfer` and,
from 3.55, at `volume-transfers`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Page, Request, View, since
from . import MEMBER, READER, api
from .listing import ListQuery, page, whose
from .lookup import find, theirs
from .quota import check_quota
from .tables import snapshots, transfers, type_access, types, volumes
from .wire import Id, Name, Text, Truth, links, moment, truth

# -- wire ----------------------------------------------------------------------------------------------------------


class TransferCreate(Body):
    volume_id: Id
    name: Text | None = None
    no_snapshots: t.Annotated[Truth, since("3.55")] = False


class Accept(Body):
    auth_key: Name


class Summary(View, kw_only=True):
    id: str
    name: str | None
    volume_id: str
    links: list[dict]


class Transfer(Summary, kw_only=True):
    created_at: str | None
    no_snapshots: t.Annotated[bool, since("3.55")]
    source_project_id: t.Annotated[str, since("3.57")]
    destination_project_id: t.Annotated[str | None, since("3.57")]
    accepted: t.Annotated[bool, since("3.57")]


class NewTransfer(Transfer, kw_only=True):
    auth_key: str


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("volume:create_transfer", MEMBER, "Offer a volume to another project.")
INDEX = api.rule("volume:get_all_transfers", READER, "List transfers.")
SHOW = api.rule("volume:get_transfer", READER, "Show a transfer.")
ACCEPT = api.rule("volume:accept_transfer", MEMBER, "Accept a transfer.")
DELETE = api.rule("volume:delete_transfer", MEMBER, "Take an offer back.")

# -- operations ----------------------------------------------------------------------------------------------------


def create(tx: Tx, request: Request, body: TransferCreate) -> NewTransfer:
    """Offer a volume, and be told the key."""
    row = find(tx, request.context, body.volume_id)
    if row.status != "available":
        raise BadRequest(f"Invalid volume: status must be available, but it is {row.status}")
    key, salt = secrets.token_hex(8), secrets.token_hex(8)
    tx.update(volumes, row.id, status="awaiting-transfer")
    made = tx.insert(transfers, project_id=row.project_id, volume_id=row.id, name=body.name, salt=salt, key_hash=_hash(salt, key),
                     no_snapshots=truth(body.no_snapshots), accepted=False)  # fmt: skip
    return NewTransfer(**_values(request, made), auth_key=key)


def index(tx: Tx, request: Request, query: ListQuery) -> Page[Summary]:
    """List transfers, in short."""
    rows, marker, extra = page(tx, request, query, transfers, _clauses(request, query))
    return Page([_summary(request, row) for row in rows], marker, extra)


def detail(tx: Tx, request: Request, query: ListQuery) -> Page[Transfer]:
    """List transfers whole."""
    rows, marker, extra = page(tx, request, query, transfers, _clauses(request, query))
    return Page([Transfer(**_values(request, row)) for row in rows], marker, extra)


def show(tx: Tx, request: Request, id: str) -> Transfer:
    """Show a transfer."""
    return Transfer(**_values(request, _find(tx, request, id)))


def delete(tx: Tx, request: Request, id: str) -> None:
    """Take an offer back."""
    row = _find(tx, request, id)
    tx.update(volumes, {"id": row.volume_id, "status": "awaiting-transfer"}, status="available")
    tx.delete(transfers, id=row.id)


def accept(tx: Tx, request: Request, id: str, body: Accept) -> Summary:
    """Take a volume, and its snapshots."""
    row, project = tx.get(transfers, id=id), request.project
    if row is None:
        raise NotFound(f"Transfer {id} could not be found.")
    if not hmac.compare_digest(row.key_hash, _hash(row.salt, body.auth_key)):
        raise BadRequest(f"Invalid auth key: Attempt to transfer {id} with invalid auth key.")
    volume = tx.get(volumes, id=row.volume_id, status="awaiting-transfer")
    if volume is None:
        raise BadRequest(f"Invalid volume: Volume {row.volume_id} is not awaiting a transfer any more.")
    taken = tx.rows(snapshots, volume_id=volume.id)
    if taken and row.no_snapshots:
        raise BadRequest(f"Invalid volume: Volume {volume.id} has {len(taken)} snapshots, which would not be transferred.")
    _check_room(tx, project, volume, taken)
    tx.update(volumes, volume.id, status="available", project_id=project, user_id=request.context.user_id)
    tx.update(snapshots, {"volume_id": volume.id}, project_id=project, user_id=request.context.user_id)
    tx.delete(transfers, id=row.id)
    return _summary(request, row)


for _path, _first in (("/os-volume-transfer", None), ("/volume-transfers", "3.55")):
    api.op("POST", _path, policy=CREATE, wrap="transfer", first=_first, status=202, errors=(400, 404))(create)
    api.op("GET", _path, policy=INDEX, reply="transfers", first=_first)(index)
    api.op("GET", f"{_path}/detail", policy=INDEX, reply="transfers", first=_first)(detail)
    api.op("GET", f"{_path}/{{id}}", policy=SHOW, wrap="transfer", first=_first, errors=(404,))(show)
    api.op("DELETE", f"{_path}/{{id}}", policy=DELETE, first=_first, status=202, errors=(404,))(delete)
    api.op(
        "POST", f"{_path}/{{id}}/accept", policy=ACCEPT, wrap="accept", reply="transfer", first=_first, status=202, errors=(400, 404, 413)
    )(accept)

# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    return theirs(tx, request.context, transfers, id, f"Transfer {id} could not be found.")


def _check_room(tx: Tx, project: str | None, volume: Row, taken: list[Row]) -> None:
    """Raise QuotaReached where a project may not have the volume and its snapshots, BadRequest where it may not use the type."""
    kind = tx.get(types, id=volume.type_id) if volume.type_id else None
    if kind is not None and not kind.is_public and tx.get(type_access, type_id=kind.id, project_id=project) is None:
        raise BadRequest(f"Invalid volume type: this project may not use the volume's type {kind.name}.")
    gigabytes = volume.size + sum(snapshot.size for snapshot in taken)
    check_quota(tx, project, kind.name if kind else None, volumes=1, gigabytes=gigabytes, snapshots=len(taken))


def _hash(salt: str, key: str) -> str:
    return hashlib.sha256(f"{salt}:{key}".encode()).hexdigest()


def _summary(request: Request, row: Row) -> Summary:
    return Summary(id=row.id, name=row.name, volume_id=row.volume_id, links=links(request, "volume-transfers", row.id))


def _values(request: Request, row: Row) -> dict[str, t.Any]:
    return {
        "id": row.id, "name": row.name, "volume_id": row.volume_id, "links": links(request, "volume-transfers", row.id),
        "created_at": moment(row.created_at), "no_snapshots": row.no_snapshots, "source_project_id": row.project_id,
        "destination_project_id": row.destination_project_id, "accepted": row.accepted,
    }  # fmt: skip


def _clauses(request: Request, query: ListQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    yield from whose(request, query, transfers)
    if query.name is not None:
        yield transfers.c.name == query.name
