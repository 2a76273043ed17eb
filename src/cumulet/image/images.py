"""Images' records: creating, showing, listing and deleting them."""

from __future__ import annotations

import functools
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx, table
from ..kernel.http import BadRequest, Forbidden, NotFound, OverLimit, Page, Query, Reply, Request, paged
from . import api, filters, formats, policy, signatures, tasks
from .attributes import BASE, new_values
from .paging import amount
from .protections import Guard, guard
from .shapes import MEMBER_STATUSES
from .stores.registry import stores
from .terms import Wanted, unled
from .whereabouts import whereabouts, whereabouts_of

# -- tables --------------------------------------------------------------------------------------------------------

images = table(
    "images",
    sa.Column("name", sa.String(255)),
    sa.Column("owner", sa.String(64), index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("visibility", sa.String(20), nullable=False, index=True),
    sa.Column("protected", sa.Boolean, nullable=False, default=False),
    sa.Column("os_hidden", sa.Boolean, nullable=False, default=False, index=True),
    sa.Column("disk_format", sa.String(20)),
    sa.Column("container_format", sa.String(20)),
    sa.Column("min_disk", sa.Integer, nullable=False, default=0),
    sa.Column("min_ram", sa.Integer, nullable=False, default=0),
    sa.Column("size", sa.BigInteger),
    sa.Column("virtual_size", sa.BigInteger),
    sa.Column("checksum", sa.String(32), index=True),
    sa.Column("os_hash_algo", sa.String(64)),
    sa.Column("os_hash_value", sa.String(128), index=True),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("announced", sa.BigInteger),
    sa.Column("import_task", sa.String(64)),
    sa.Column("import_stores", sa.JSON),
    *(sa.Index(f"ix_images_{key}_id", key, "id") for key in filters.SORT_KEYS if key != "id"),
    taken="Image ID {id} already exists!",
)
"""`announced` is how many bytes the upload under way said it would bring. `import_task` is the task that imports the image now;
`import_stores` says to which stores it does (`to`), and which of the last import's failed (`failed`)."""

members = table(
    "image_members",
    sa.Column("image_id", sa.String(64), sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    sa.Column("member_id", sa.String(64), nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    unique={("image_id", "member_id"): "Image member {member_id} already exists for image {image_id}"},
)

# The tables must be there before what counts their rows.
from . import quota  # noqa: E402

# -- wire ----------------------------------------------------------------------------------------------------------


class ImageQuery(Query):
    name: str | None = None
    id: str | None = None
    owner: str | None = None
    status: str | None = None
    visibility: str | None = None
    member_status: str | None = None
    protected: str | None = None
    os_hidden: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    min_disk: int | None = None
    min_ram: int | None = None
    size_min: str | None = None
    size_max: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    tag: list[str] = []
    sort_key: list[str] = []
    sort_dir: list[str] = []
    sort: str | None = None
    limit: str | None = None
    marker: str | None = None
    changes_since: str | None = msgspec.field(default=None, name="changes-since")


NOT_FOUND = "Image {id} not found."
UNDELETED = "Failed to find image {id} to delete"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/images", policy=policy.ADD, target=lambda tx, request: _new_target(request), status=201, errors=(403, 409, 413))
def create(tx: Tx, request: Request, body: dict) -> Reply:
    """Create an image's record; its data comes later."""
    values = new_values(request, body)
    quota.enforce(tx, request.runtime.config, values["owner"], image_count_total=1)
    row = add(tx, **values)
    named = {
        "Location": f"{request.base}/v2/images/{row.id}", "OpenStack-image-store-ids": ",".join(stores(request.runtime).tables),
        "OpenStack-image-import-methods": ",".join(request.runtime.config.image_import.methods),
    }  # fmt: skip
    made = view(row, guard(request))
    whereabouts_of(request, made)
    return Reply(made, headers=named)


@api.op("GET", "/images", policy=policy.GET_ALL, reply="images")
def index(tx: Tx, request: Request, query: ImageQuery) -> Page:
    """List the images that the caller may see."""
    wanted = _wanted(tx, request, query)
    order = filters.order(query.sort, query.sort_key, query.sort_dir)
    limit = 25 if query.limit is None else amount(query.limit)
    if query.marker is not None:
        _check_marker(tx, request, query.marker)
    most = request.runtime.config.page_limit
    rows, marker = paged(tx, wanted.statement(), images, order=order, limit=limit, marker=query.marker, most=most,
                         values=wanted.values, led=wanted.led)  # fmt: skip
    return Page(views(tx, request, rows), marker, {"schema": "/v2/schemas/images"})


@api.op(
    "GET",
    "/images/{id}",
    policy=policy.GET,
    target=lambda tx, request, id: policy.against(request, visible(tx, request, id)),
    errors=(404,),
)
def show(tx: Tx, request: Request, id: str) -> dict:
    """Show an image."""
    return views(tx, request, [visible(tx, request, id)])[0]


@api.op("DELETE", "/images/{id}", policy=policy.DELETE, status=204, errors=(403, 404, 409),
        target=lambda tx, request, id: policy.against(request, visible(tx, request, id, UNDELETED)))  # fmt: skip
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete an image and its data."""
    row = visible(tx, request, id, UNDELETED)
    if row.protected:
        raise Forbidden(f"Image {id} is protected and cannot be deleted.")
    tasks.give_up(tx, request.runtime.config, id)
    tx.delete(images, id=id)
    tx.nudge("images")


# -- for other services --------------------------------------------------------------------------------------------


class ImageFacts(msgspec.Struct, frozen=True):
    """What other services need to know of an image. Sizes in bytes, `min_disk` in GiB, `min_ram` in MiB."""

    id: str
    name: str | None
    status: str
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    min_disk: int
    min_ram: int
    properties: dict[str, str]

    @property
    def packed(self) -> bool:
        """Whether the disk has first to be taken out of what holds it, as of an OVA."""
        return self.container_format in formats.PACKED


def find(tx: Tx, request: Request, id: str) -> ImageFacts:
    """An image that the caller may use, with those of its properties that they may see. Raises BadRequest where there is
    none, as compute and volume tell it."""
    row = tx.get(images, id=id)
    if row is None or not _may_see(tx, request.context, row):
        raise BadRequest(f"Image {id} could not be found.", kind="ImageNotFound")
    return _facts(row, guard(request))


def reserve(tx: Tx, request: Request, *, project_id: str, name: str, disk_format: str, container_format: str, min_disk: int,
            properties: dict[str, str]) -> str:  # fmt: skip
    """A queued image whose data a workflow brings; its id. What is known of a signature is of other data, and is left out.
    Raises OverLimit."""
    if told := quota.over(tx, request.runtime.config, project_id, image_count_total=1, image_size_total=0):
        raise OverLimit(told)
    return add(
        tx, name=name, owner=project_id, status="queued", visibility="private", disk_format=disk_format,
        container_format=container_format, min_disk=min_disk,
        properties={name: value for name, value in properties.items() if name not in signatures.PROPERTIES},
    ).id  # fmt: skip


def abandon(tx: Tx, id: str) -> None:
    """Forget an image whose data did not come."""
    tx.delete(images, id=id)
    tx.nudge("images")


# -- helpers -------------------------------------------------------------------------------------------------------


def add(tx: Tx, **values: t.Any) -> Row:
    """A new image's record."""
    now = clock.now()
    plain = {"protected": False, "os_hidden": False, "min_disk": 0, "min_ram": 0, "properties": {}, "tags": []}
    return tx.insert(images, created_at=now, updated_at=now, **plain | values)


def visible(tx: Tx, request: Request, id: str, missing: str = "No image found with ID {id}") -> Row:
    """The image, where the caller may see it. Raises NotFound, worded by `missing`."""
    row = tx.get(images, id=id)
    if row is None or not _may_see(tx, request.context, row):
        raise NotFound(missing.format(id=id))
    return row


def views(tx: Tx, request: Request, rows: list[Row]) -> list[dict[str, t.Any]]:
    """Images as the caller sees them, with where their data is."""
    seen = guard(request)
    told = [view(row, seen) for row in rows]
    whereabouts(tx, request, told)
    return told


def view(row: Row, seen: Guard) -> dict[str, t.Any]:
    """An image as clients see it: the properties that they may see stand beside its attributes."""
    has = row._mapping  # which gives a value in a twelfth of the time that an attribute takes
    path = f"/v2/images/{has['id']}"
    return {
        **seen.readable(has["properties"]),
        **_importing(has),
        **{name: has[name] for name in BASE},
        "tags": sorted(has["tags"]),
        "created_at": clock.iso(has["created_at"]),
        "updated_at": clock.iso(has["updated_at"] or has["created_at"]),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def _importing(has: sa.RowMapping) -> dict[str, str]:
    told = {"os_glance_import_task": has["import_task"]} if has["import_task"] else {}
    if has["import_stores"] is not None:
        told["os_glance_importing_to_stores"] = ",".join(has["import_stores"]["to"])
        told["os_glance_failed_import"] = ",".join(has["import_stores"]["failed"])
    return told


def _facts(row: Row, seen: Guard) -> ImageFacts:
    return ImageFacts(row.id, row.name, row.status, row.disk_format, row.container_format, row.size, row.virtual_size,
                      row.min_disk, row.min_ram, seen.readable(row.properties))  # fmt: skip


def _may_see(tx: Tx, context: Context, row: Row) -> bool:
    if context.is_admin or row.visibility in ("public", "community"):
        return True
    if context.project_id is None:
        return False
    if row.owner == context.project_id:
        return True
    return row.visibility == "shared" and tx.get(members, image_id=row.id, member_id=context.project_id) is not None


def _new_target(request: Request) -> dict:
    return {"project_id": request.context.project_id, "owner": request.context.project_id}


def _wanted(tx: Tx, request: Request, query: ImageQuery) -> Wanted:
    c, me, wanted = images.c, request.context, Wanted(tx, images, request.runtime.db.embedded)
    if query.changes_since is not None:
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    for name in ("id", "status", "name", "disk_format", "container_format", "owner", "checksum", "os_hash_value"):
        if (value := getattr(query, name)) is not None:
            condition, values = filters.text(c[name], value)
            wanted.among((condition,), values)
    hidden, values = filters.compared(c.os_hidden, "eq", filters.flag("os_hidden", (query.os_hidden or "false").lower()))
    if query.os_hidden:
        wanted.among((hidden,), values)
    wanted.where(unled(hidden), values)
    for condition, values in _others(query):
        wanted.where(condition, values)
    _add_terms(request, query, wanted)
    scope, values = _scope(me.is_admin, me.project_id is None, query.visibility, _member_status(query)), {"me": me.project_id}
    if me.is_admin and query.visibility in (None, "all"):
        wanted.where(unled(*scope), values)  # these are nearly all that there are
    else:
        wanted.among(scope, values)
    return wanted


def _others(query: ImageQuery) -> t.Iterator[filters.Asked]:
    """What no index leads to."""
    c = images.c
    if query.os_hash_algo is not None:
        yield filters.text(c.os_hash_algo, query.os_hash_algo)
    if query.protected is not None:
        yield filters.compared(c.protected, "eq", filters.flag("protected", query.protected))
    for name in ("size", "virtual_size", "min_disk", "min_ram"):
        if (value := getattr(query, name)) is not None:
            yield filters.compared(c[name], "eq", value)
    if query.size_min is not None:
        yield filters.compared(c.size, "gte", filters.amount(query.size_min))
    if query.size_max is not None:
        yield filters.compared(c.size, "lte", filters.amount(query.size_max))
    for name in ("created_at", "updated_at"):
        if (value := getattr(query, name)) is not None:
            yield filters.moment(c[name], value)


def _add_terms(request: Request, query: ImageQuery, wanted: Wanted) -> None:
    """Tags, and what the query names besides: properties."""
    for tag in query.tag:
        wanted.tag(tag)
    seen = guard(request)
    for key, value in request.query:
        if key not in _KNOWN and not seen.allows("read", key):
            wanted.where(_NOTHING, {})
        elif key not in _KNOWN:
            wanted.property(key, value)


_KNOWN = frozenset(ImageQuery.__struct_encode_fields__)
_NOTHING = sa.false()


def _check_marker(tx: Tx, request: Request, marker: str) -> None:
    """Raise BadRequest for one that is no image which the caller may see."""
    try:
        visible(tx, request, marker)
    except NotFound as error:
        raise BadRequest(error.message) from None


def _member_status(query: ImageQuery) -> str:
    status = "accepted" if query.member_status is None else query.member_status
    if status not in (*MEMBER_STATUSES, "all"):
        raise BadRequest(f"Invalid status: {status}")
    return status


@functools.cache
def _scope(admin: bool, nobody: bool, visibility: str | None, status: str) -> tuple[sa.ColumnElement[bool], ...]:
    """What the caller may list, one of these: one's own, public ones, and those shared with one's project `me` and of a status there.
    nobody: whether the caller has no project."""
    c, me = images.c, sa.null() if nobody else sa.bindparam("me")
    shared = sa.select(members.c.image_id).where(members.c.member_id == me, *([] if status == "all" else [members.c.status == status]))
    with_me = sa.and_(unled(c.visibility == "shared"), c.id.in_(shared))
    mine = c.owner == me
    match visibility:
        case "public" | "private" | "community":
            if visibility == "private" and not admin:
                return (sa.and_(unled(c.visibility == "private"), mine),)
            return (c.visibility == visibility,)
        case "shared":
            if admin:
                return (c.visibility == "shared",)
            return sa.and_(unled(c.visibility == "shared"), mine), with_me
        case "all":
            return (sa.true(),) if admin else (mine, c.visibility.in_(("public", "community")), with_me)
        case None:
            if admin:
                return (sa.or_(c.visibility != "community", mine),)
            return mine, c.visibility == "public", with_me
    raise BadRequest(f"Invalid visibility value: {visibility}; it is one of all, community, private, public, shared.")
