"""Volumes as clients see them."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, Request, UnsetType, View, since
from . import ADMIN, api
from .tables import attachments, types, volumes
from .wire import links, moment, wire

HOST = api.rule("volume_extension:volume_host_attribute", ADMIN, "See where a volume is.")


class Use(View):
    """One entry of a volume's `attachments`."""

    id: str
    attachment_id: str
    volume_id: str
    server_id: str | None
    host_name: str | None
    device: str | None
    attached_at: str | None


class Volume(View, kw_only=True):
    id: str
    name: str | None
    description: str | None
    status: str
    size: int
    availability_zone: str
    created_at: str | None
    updated_at: str | None
    attachments: list[Use]
    volume_type: str | None
    snapshot_id: str | None
    source_volid: str | None
    metadata: dict[str, str]
    links: list[dict]
    user_id: str
    bootable: str
    encrypted: bool
    replication_status: str | None
    consistencygroup_id: str | None
    multiattach: bool
    migration_status: str | None
    group_id: t.Annotated[str | None, since("3.13")]
    service_uuid: t.Annotated[str | None, since("3.48")]
    shared_targets: t.Annotated[bool | None, since("3.48")]
    volume_type_id: t.Annotated[str | None, since("3.63")]
    consumes_quota: t.Annotated[bool, since("3.65")]


class VolumeDetail(Volume, kw_only=True):
    """With what only some callers see."""

    tenant_id: str = wire("os-vol-tenant-attr:tenant_id")
    host: str | None | UnsetType = wire("os-vol-host-attr:host", UNSET)
    migstat: str | None | UnsetType = wire("os-vol-mig-status-attr:migstat", UNSET)
    name_id: str | None | UnsetType = wire("os-vol-mig-status-attr:name_id", UNSET)
    volume_image_metadata: dict[str, t.Any] | UnsetType = UNSET
    provider_id: t.Annotated[str | None | UnsetType, since("3.21")] = UNSET
    cluster_name: t.Annotated[str | None | UnsetType, since("3.61")] = UNSET


class Summary(View):
    id: str
    name: str | None
    links: list[dict]


def summary(request: Request, row: Row) -> Summary:
    return Summary(id=row.id, name=row.name, links=links(request, "volumes", row.id))


def view(tx: Tx, request: Request, id: str) -> Volume:
    """A volume, as the answer to who makes or changes it."""
    row = tx.one(volumes, id=id)
    uses, names = _beside(tx, [row])
    return Volume(**_common(request, row, uses.get(id, []), names.get(row.type_id)))


def details(tx: Tx, request: Request, rows: t.Sequence[Row]) -> list[VolumeDetail]:
    """Volumes whole, in two queries however many they are."""
    uses, names = _beside(tx, rows)
    admin = request.allows(HOST)
    return [_detail(request, row, uses.get(row.id, []), names.get(row.type_id), admin) for row in rows]


def host_name(host: str | None) -> str | None:
    """A host with its back end and pool, as clients know it."""
    return host and f"{host}@cumulet#cumulet"


def plain_host(name: str) -> str:
    """The host in such a name."""
    return name.partition("@")[0]


def _beside(tx: Tx, rows: t.Sequence[Row]) -> tuple[dict[str, list[Use]], dict[str, str]]:
    """The uses of volumes, by volume, and the names of all types, by id."""
    uses: dict[str, list[Use]] = {}
    attached = (attachments.c.volume_id.in_([row.id for row in rows]), attachments.c.status == "attached")
    for use in tx.all(sa.select(attachments).where(*attached)):
        uses.setdefault(use.volume_id, []).append(_use(use))
    return uses, {row.id: row.name for row in tx.rows(types)}


def _common(request: Request, row: Row, uses: list[Use], type_name: str | None) -> dict[str, t.Any]:
    return {
        "id": row.id, "name": row.name, "description": row.description, "status": row.status, "size": row.size,
        "availability_zone": row.availability_zone, "created_at": moment(row.created_at), "updated_at": moment(row.updated_at),
        "attachments": uses, "volume_type": type_name, "snapshot_id": row.snapshot_id, "source_volid": row.source_volid,
        "metadata": row.metadata | row.admin_metadata, "links": links(request, "volumes", row.id), "user_id": row.user_id,
        "bootable": "true" if row.bootable else "false", "encrypted": False, "replication_status": None,
        "consistencygroup_id": row.consistencygroup_id, "multiattach": row.multiattach, "migration_status": row.migration_status,
        "group_id": row.group_id, "service_uuid": None, "shared_targets": False, "volume_type_id": row.type_id, "consumes_quota": True,
    }  # fmt: skip


def _detail(request: Request, row: Row, uses: list[Use], type_name: str | None, admin: bool) -> VolumeDetail:
    made = VolumeDetail(**_common(request, row, uses, type_name), tenant_id=row.project_id)
    if row.image_metadata:
        made.volume_image_metadata = row.image_metadata
    if admin:
        made.host, made.migstat = host_name(row.host), row.migration_status
        made.name_id, made.provider_id, made.cluster_name = None, None, None
    return made


def _use(row: Row) -> Use:
    return Use(
        id=row.volume_id, attachment_id=row.id, volume_id=row.volume_id, server_id=row.instance_id, device=row.mountpoint,
        host_name=None if row.instance_id else row.attached_host, attached_at=moment(row.attached_at),
    )  # fmt: skip
