"""Managing and unmanaging: letting go of volumes and snapshots without their data, and taking such data in again. What a host
keeps and this service let go of is listed; the field's names for it are `volume-ID` and `_snapshot-ID`."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Query, Request, View
from . import ADMIN, api
from .lookup import find, find_snapshot
from .quota import check_quota
from .snapshots import Snapshot
from .snapshots import target as snapshot_target
from .snapshots import view as snapshot_view
from .tables import attachments, backends, snapshots, unmanaged, volumes
from .types import default_type, find_type
from .uses import is_multiattach
from .views import VolumeDetail, details, plain_host
from .volumes import target
from .wire import Id, Key, Metadata, Name, Text, Truth, truth
from .workflows.manage import ManageSnapshot, ManageVolume

# -- wire ----------------------------------------------------------------------------------------------------------


class VolumeManage(Body):
    ref: dict[Key, Text]
    host: Name | None = None
    cluster: Text | None = None
    name: Text | None = None
    description: Text | None = None
    volume_type: Id | None = None
    metadata: Metadata | None = None
    availability_zone: Text | None = None
    bootable: Truth = False


class SnapshotManage(Body):
    volume_id: Id
    ref: dict[Key, Text]
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None


class ManageableQuery(Query):
    host: str | None = None
    cluster: str | None = None


class Manageable(View):
    reference: dict[str, str]
    size: int
    safe_to_manage: bool = True
    source_reference: dict[str, str] | None = None


# -- policy --------------------------------------------------------------------------------------------------------

MANAGE = api.rule("volume_extension:volume_manage", ADMIN, "Take a volume in.")
UNMANAGE = api.rule("volume_extension:volume_unmanage", ADMIN, "Let go of a volume.")
INDEX = api.rule("volume_extension:list_manageable", ADMIN, "List volumes that can be taken in.")
MANAGE_SNAPSHOT = api.rule("snapshot_extension:snapshot_manage", ADMIN, "Take a snapshot in.")
UNMANAGE_SNAPSHOT = api.rule("snapshot_extension:snapshot_unmanage", ADMIN, "Let go of a snapshot.")
INDEX_SNAPSHOTS = api.rule("snapshot_extension:list_manageable", ADMIN, "List snapshots that can be taken in.")

PREFIXES = {"volume": "volume-", "snapshot": "_snapshot-"}

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/volumes/{id}/action", action="os-unmanage", policy=UNMANAGE, target=target, status=202, errors=(400, 404))
def unmanage(tx: Tx, request: Request, id: str, body: dict | None) -> None:
    """Let go of a volume that nobody uses; its data stays."""
    row = find(tx, request.context, id)
    if (
        row.status not in ("available", "error")
        or row.host is None
        or tx.rows(attachments, volume_id=row.id)
        or tx.rows(snapshots, volume_id=row.id)
    ):
        raise BadRequest(f"Invalid volume: Volume {id} must be available or error, and not have attachments or snapshots, to be let go of; "
                         f"its status is {row.status}.")  # fmt: skip
    tx.insert(unmanaged, id=row.id, kind="volume", host=row.host, size=row.size)
    tx.delete(volumes, id=row.id)


@api.op("POST", "/manageable_volumes", policy=MANAGE, wrap="volume", status=202, errors=(400, 404, 413))
def manage(tx: Tx, request: Request, body: VolumeManage) -> VolumeDetail:
    """Take a volume in that was let go of."""
    row = _let_go(tx, "volume", body.ref, plain_host(body.host or ""))
    kind = find_type(tx, request.context, body.volume_type) if body.volume_type else default_type(tx, request.project)
    check_quota(tx, request.project, kind.name if kind else None, volumes=1, gigabytes=row.size)
    made = tx.insert(
        volumes, project_id=request.project, user_id=request.context.user_id, name=body.name, description=body.description,
        size=row.size, status="managing", host=row.host, availability_zone="nova", type_id=kind.id if kind else None,
        bootable=truth(body.bootable),
        multiattach=kind is not None and is_multiattach(kind), metadata=body.metadata or {}, admin_metadata={}, image_metadata={},
    )  # fmt: skip
    ManageVolume.start(tx, made.id, request_id=request.id, reference=row.id)
    return details(tx, request, [made])[0]


@api.op(
    "POST", "/snapshots/{id}/action", action="os-unmanage", policy=UNMANAGE_SNAPSHOT, target=snapshot_target, status=202, errors=(400, 404)
)
def unmanage_snapshot(tx: Tx, request: Request, id: str, body: dict | None) -> None:
    """Let go of a snapshot; its data stays."""
    row = find_snapshot(tx, request.context, id)
    volume = tx.get(volumes, id=row.volume_id)
    if row.status not in ("available", "error") or volume is None or volume.host is None:
        raise BadRequest(f"Invalid snapshot: Snapshot {id} must be available or error to be let go of, but its status is {row.status}.")
    tx.insert(unmanaged, id=row.id, kind="snapshot", host=volume.host, size=row.size, volume_id=volume.id)
    tx.delete(snapshots, id=row.id)


@api.op("POST", "/manageable_snapshots", policy=MANAGE_SNAPSHOT, wrap="snapshot", status=202, errors=(400, 404, 413))
def manage_snapshot(tx: Tx, request: Request, body: SnapshotManage) -> Snapshot:
    """Take a snapshot in that was let go of, of the volume that it was taken of."""
    volume = find(tx, request.context, body.volume_id)
    row = _let_go(tx, "snapshot", body.ref, volume.host or "")
    if row.volume_id != volume.id:
        raise BadRequest(f"Invalid input received: snapshot {row.id} was taken of volume {row.volume_id}, not of {volume.id}.")
    check_quota(tx, volume.project_id, snapshots=1, gigabytes=row.size)
    made = tx.insert(
        snapshots, project_id=volume.project_id, user_id=request.context.user_id, volume_id=volume.id, name=body.name,
        description=body.description, size=row.size, status="creating", progress="0%", metadata=body.metadata or {},
    )  # fmt: skip
    ManageSnapshot.start(tx, made.id, request_id=request.id, reference=row.id)
    return snapshot_view(made)


@api.op("GET", "/manageable_volumes", policy=INDEX, first="3.8", reply="manageable-volumes", errors=(400,))
def index(tx: Tx, request: Request, query: ManageableQuery) -> list[Manageable]:
    """List volumes that can be taken in, of one host."""
    return _manageable(tx, "volume", query)


@api.op("GET", "/manageable_volumes/detail", policy=INDEX, first="3.8", reply="manageable-volumes", errors=(400,))
def detail(tx: Tx, request: Request, query: ManageableQuery) -> list[Manageable]:
    """List volumes that can be taken in, of one host."""
    return _manageable(tx, "volume", query)


@api.op("GET", "/manageable_snapshots", policy=INDEX_SNAPSHOTS, first="3.8", reply="manageable-snapshots", errors=(400,))
def index_snapshots(tx: Tx, request: Request, query: ManageableQuery) -> list[Manageable]:
    """List snapshots that can be taken in, of one host."""
    return _manageable(tx, "snapshot", query)


@api.op("GET", "/manageable_snapshots/detail", policy=INDEX_SNAPSHOTS, first="3.8", reply="manageable-snapshots", errors=(400,))
def detail_snapshots(tx: Tx, request: Request, query: ManageableQuery) -> list[Manageable]:
    """List snapshots that can be taken in, of one host."""
    return _manageable(tx, "snapshot", query)


# -- helpers -------------------------------------------------------------------------------------------------------


def _let_go(tx: Tx, kind: str, ref: dict[str, str], host: str) -> Row:
    """What a reference means. Raises BadRequest where it means nothing that was let go of, or not on that host."""
    if tx.get(backends, host=host) is None:
        raise NotFound(f"Service {host or '(no host given)'} could not be found.")
    named = ref.get("source-name") or ref.get("source-id") or ""
    row = tx.get(unmanaged, id=named.removeprefix(PREFIXES[kind]), kind=kind, host=host)
    if row is None:
        raise BadRequest(
            f"Manage existing {kind} failed due to invalid backend reference {ref}: {host} keeps no such {kind} that was let go of."
        )
    return row


def _manageable(tx: Tx, kind: str, query: ManageableQuery) -> list[Manageable]:
    if not query.host:
        raise BadRequest("Either 'host' or 'cluster' must be given, and there are no clusters here.")
    rows = tx.rows(unmanaged, kind=kind, host=plain_host(query.host))
    return [Manageable(
        reference={"source-name": PREFIXES[kind] + row.id}, size=row.size,
        source_reference={"source-name": PREFIXES["volume"] + row.volume_id} if row.volume_id else None,
    ) for row in rows]  # fmt: skip
