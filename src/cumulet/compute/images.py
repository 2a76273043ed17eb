"""Images as the compute API shows them, until 2.35 (their metadata until 2.38): the image service's, in older words."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..image import Guard, guard, policy
from ..image import images as image
from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Page, Query, Request, View, paged
from . import api
from .wire import PRINTABLE, links, moment

# -- wire ----------------------------------------------------------------------------------------------------------

Key = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]+$")]
Metadata = dict[Key, t.Annotated[str, msgspec.Meta(max_length=255, pattern=PRINTABLE)]]


class MetadataBody(Body):
    metadata: Metadata


class MetaBody(Body):
    meta: t.Annotated[Metadata, msgspec.Meta(min_length=1, max_length=1)]


class ImageQuery(Query):
    name: str | None = None
    status: str | None = None
    server: str | None = None
    type: str | None = None
    changes_since: str | None = msgspec.field(name="changes-since", default=None)
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None


class Brief(View):
    id: str
    name: str | None
    links: list[dict]


class Image(Brief, kw_only=True):
    status: str
    progress: int
    min_ram: int = msgspec.field(name="minRam")
    min_disk: int = msgspec.field(name="minDisk")
    metadata: dict[str, str]
    created: str
    updated: str
    size: int | None = msgspec.field(name="OS-EXT-IMG-SIZE:size")
    server: dict | msgspec.UnsetType = msgspec.UNSET


READER, MEMBER = "project_reader_or_admin", "project_member_or_admin"
LAST, METADATA_LAST = "2.35", "2.38"
STATUS = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "uploading": "SAVING", "importing": "SAVING", "killed": "ERROR"}
PROGRESS = {"ACTIVE": 100, "SAVING": 50}

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/images", policy=READER, reply="images", last=LAST, errors=(400,))
def index(tx: Tx, request: Request, query: ImageQuery) -> Page[Brief]:
    """List the images that the caller may see."""
    rows, marker = _listed(tx, request, query)
    return Page([Brief(id=row.id, name=row.name, links=_links(request, row)) for row in rows], marker)


@api.op("GET", "/images/detail", policy=READER, reply="images", last=LAST, errors=(400,))
def detail(tx: Tx, request: Request, query: ImageQuery) -> Page[Image]:
    """List images in detail."""
    rows, marker = _listed(tx, request, query)
    seen = guard(request)
    return Page([_view(request, row, seen) for row in rows], marker)


@api.op("GET", "/images/{id}", policy=READER, reply="image", last=LAST, errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Image:
    """Show an image."""
    return _view(request, _find(tx, request, id), guard(request))


@api.op("DELETE", "/images/{id}", policy=MEMBER, status=204, last=LAST, errors=(403, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete an image."""
    request.enforce(policy.DELETE, policy.against(request, _find(tx, request, id)))
    image.delete(tx, request, id)


@api.op("GET", "/images/{id}/metadata", policy=READER, reply="metadata", last=METADATA_LAST, errors=(404,))
def list_metadata(tx: Tx, request: Request, id: str) -> dict:
    """List an image's metadata."""
    return guard(request).readable(_find(tx, request, id).properties)


@api.op("POST", "/images/{id}/metadata", policy=MEMBER, reply="metadata", last=METADATA_LAST, errors=(400, 403, 404))
def add_metadata(tx: Tx, request: Request, id: str, body: MetadataBody) -> dict:
    """Add and change metadata."""
    return _set(tx, request, id, {**list_metadata(tx, request, id), **body.metadata})


@api.op("PUT", "/images/{id}/metadata", policy=MEMBER, reply="metadata", last=METADATA_LAST, errors=(400, 403, 404))
def replace_metadata(tx: Tx, request: Request, id: str, body: MetadataBody) -> dict:
    """Set all of an image's metadata."""
    return _set(tx, request, id, body.metadata)


@api.op("GET", "/images/{id}/metadata/{key}", policy=READER, reply="meta", last=METADATA_LAST, errors=(404,))
def show_meta(tx: Tx, request: Request, id: str, key: str) -> dict:
    """Show one item of an image's metadata."""
    return {key: _item(tx, request, id, key)}


@api.op("PUT", "/images/{id}/metadata/{key}", policy=MEMBER, reply="meta", last=METADATA_LAST, errors=(400, 403, 404))
def set_meta(tx: Tx, request: Request, id: str, key: str, body: MetaBody) -> dict:
    """Set one item of an image's metadata."""
    if key not in body.meta:
        raise BadRequest(f"Request body and URI mismatch: the body must be the one item {key}")
    _set(tx, request, id, {**list_metadata(tx, request, id), **body.meta})
    return body.meta


@api.op("DELETE", "/images/{id}/metadata/{key}", policy=MEMBER, status=204, last=METADATA_LAST, errors=(403, 404))
def delete_meta(tx: Tx, request: Request, id: str, key: str) -> None:
    """Remove one item of an image's metadata."""
    _item(tx, request, id, key)
    _set(tx, request, id, {name: value for name, value in list_metadata(tx, request, id).items() if name != key})


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    try:
        return image.visible(tx, request, id)
    except NotFound:
        raise NotFound("Image not found.") from None


def _item(tx: Tx, request: Request, id: str, key: str) -> str:
    metadata = list_metadata(tx, request, id)
    if key not in metadata:
        raise NotFound(f"Image {id} has no metadata item {key}.")
    return metadata[key]


def _set(tx: Tx, request: Request, id: str, metadata: dict[str, str]) -> dict[str, str]:
    row = _find(tx, request, id)
    request.enforce(policy.MODIFY, policy.against(request, row))
    tx.update(image.images, id, properties=guard(request).replaced(row.properties, metadata))
    return metadata


def _listed(tx: Tx, request: Request, query: ImageQuery) -> tuple[list[Row], str | None]:
    c = image.images.c
    project = request.context.project_id
    accepted = sa.select(image.members.c.image_id).where(image.members.c.member_id == project, image.members.c.status == "accepted")
    clauses = [(c.visibility == "public") | (c.owner == project) | c.id.in_(accepted), ~c.os_hidden]
    if query.name is not None:
        clauses.append(c.name == query.name)
    if query.status is not None:
        clauses.append(c.status.in_([kept for kept, shown in STATUS.items() if shown == query.status.upper()]))
    if query.server is not None:
        clauses.append(_has(request, "instance_uuid", query.server.rsplit("/", 1)[-1]))
    if query.type is not None:
        clauses.append(_has(request, "image_type", query.type))
    if query.changes_since is not None:
        clauses.append(sa.func.coalesce(c.updated_at, c.created_at) >= moment("changes-since", query.changes_since))
    return paged(tx, sa.select(image.images).where(*clauses), image.images, order=[("created_at", "desc")], limit=query.limit,
                 marker=query.marker, most=request.runtime.config.page_limit)  # fmt: skip


def _has(request: Request, name: str, value: str) -> sa.ColumnElement[bool]:
    """Whether an image has a property, as far as the caller may know."""
    return image.images.c.properties[name].as_string() == value if guard(request).allows("read", name) else sa.false()


def _links(request: Request, row: Row) -> list[dict[str, str]]:
    alternate = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": f"{request.root}/image/images/{row.id}"}
    return [*links(request, "images", row.id), alternate]


def _view(request: Request, row: Row, seen: Guard) -> Image:
    properties = seen.readable(row.properties)
    status = STATUS.get(row.status, "UNKNOWN")
    made = Image(
        id=row.id, name=row.name, links=_links(request, row), status=status, progress=PROGRESS.get(status, 0), min_ram=row.min_ram,
        min_disk=row.min_disk, metadata=properties, created=clock.iso(row.created_at) or "",
        updated=clock.iso(row.updated_at or row.created_at) or "", size=row.size,
    )  # fmt: skip
    if server := properties.get("instance_uuid"):
        made.server = {"id": server, "links": links(request, "servers", server)}
    return made
