"""Host aggregates: named groups of hosts with metadata that the scheduler reads; one with `availability_zone` is a zone."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from .. import image
from ..kernel import clock
from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Request, UnsetType, View, since
from . import ADMIN, api
from .hosts import DEFAULT_ZONE, compute_hosts
from .servers.tables import servers
from .wire import Metadata, Name

# -- tables --------------------------------------------------------------------------------------------------------

aggregates = table(
    "compute_aggregates",
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    unique={("name",): "Aggregate {name} already exists."},
)
"""`number` is the id that clients use; the row's own is the `uuid`."""

aggregate_hosts = table(
    "compute_aggregate_hosts",
    sa.Column("aggregate_id", sa.String(64), sa.ForeignKey("compute_aggregates.id", ondelete="CASCADE"), nullable=False),
    sa.Column("host", sa.String(255), nullable=False, index=True),
    sa.PrimaryKeyConstraint("aggregate_id", "host"),
    id=False,
)

ZONE = "availability_zone"

# -- wire ----------------------------------------------------------------------------------------------------------


class AggregateCreate(Body):
    name: Name
    availability_zone: Name | None = None


class AggregateUpdate(Body):
    name: Name | UnsetType = UNSET
    availability_zone: Name | None | UnsetType = UNSET


class HostNamed(Body):
    host: t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


class MetadataSet(Body):
    metadata: Metadata


class WantedImage(Body):
    id: str


class WantedImages(Body):
    cache: t.Annotated[list[WantedImage], msgspec.Meta(min_length=1)]


class Aggregate(View, kw_only=True):
    id: int
    uuid: t.Annotated[str, since("2.41")]
    name: str
    availability_zone: str | None
    created_at: str
    updated_at: str | None
    deleted: bool = False
    deleted_at: str | None = None
    hosts: list[str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------


def _rule(name: str, description: str) -> str:
    return api.rule(f"os_compute_api:os-aggregates:{name}", ADMIN, description)


INDEX = _rule("index", "List aggregates.")
CREATE = _rule("create", "Create an aggregate.")
SHOW = _rule("show", "Show an aggregate.")
UPDATE = _rule("update", "Change an aggregate's name or availability zone.")
DELETE = _rule("delete", "Delete an aggregate.")
ADD_HOST = _rule("add_host", "Add a host to an aggregate.")
REMOVE_HOST = _rule("remove_host", "Remove a host from an aggregate.")
SET_METADATA = _rule("set_metadata", "Change an aggregate's metadata.")
IMAGES = api.rule("compute:aggregates:images", ADMIN, "Have an aggregate's hosts fetch images beforehand.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-aggregates", policy=INDEX, reply="aggregates")
def index(tx: Tx, request: Request) -> list[Aggregate]:
    """List aggregates."""
    hosts: dict[str, list[str]] = {}
    for row in tx.rows(aggregate_hosts, order=aggregate_hosts.c.host):
        hosts.setdefault(row.aggregate_id, []).append(row.host)
    return [_view(row, hosts.get(row.id, [])) for row in tx.rows(aggregates, order=aggregates.c.number)]


@api.op("POST", "/os-aggregates", policy=CREATE, wrap="aggregate", errors=(400, 409))
def create(tx: Tx, request: Request, body: AggregateCreate) -> Aggregate:
    """Create an aggregate."""
    metadata = {ZONE: _zone(body.availability_zone)} if body.availability_zone else {}
    number = (tx.scalar(sa.select(sa.func.max(aggregates.c.number))) or 0) + 1
    row = tx.insert(aggregates, number=number, name=body.name.strip(), metadata=metadata)
    return _view(row, UNSET, metadata=UNSET)


@api.op("GET", "/os-aggregates/{id}", policy=SHOW, reply="aggregate", errors=(400, 404))
def show(tx: Tx, request: Request, id: str) -> Aggregate:
    """Show an aggregate."""
    row = _find(tx, id)
    return _view(row, _hosts(tx, row))


@api.op("PUT", "/os-aggregates/{id}", policy=UPDATE, wrap="aggregate", errors=(400, 404, 409))
def update(tx: Tx, request: Request, id: str, body: AggregateUpdate) -> Aggregate:
    """Change an aggregate's name or availability zone."""
    row = _find(tx, id)
    if body.name is UNSET and body.availability_zone is UNSET:
        raise BadRequest("Invalid input for field/attribute aggregate: name or availability_zone is required")
    values: dict[str, t.Any] = {} if body.name is UNSET else {"name": body.name.strip()}
    if body.availability_zone is not UNSET:
        values["metadata"] = _changed(tx, row, {ZONE: body.availability_zone}, "update aggregate")
    tx.update(aggregates, row.id, **values)
    return show(tx, request, id)


@api.op("DELETE", "/os-aggregates/{id}", policy=DELETE, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete an aggregate; it must have no hosts."""
    row = _find(tx, id)
    if _hosts(tx, row):
        raise BadRequest(f"Cannot delete aggregate {id}: Host aggregate is not empty.")
    tx.delete(aggregates, id=row.id)


@api.op("POST", "/os-aggregates/{id}/action", action="add_host", policy=ADD_HOST, reply="aggregate", errors=(400, 404, 409))
def add_host(tx: Tx, request: Request, id: str, body: HostNamed) -> Aggregate:
    """Add a host."""
    row = _find(tx, id)
    if tx.get(compute_hosts, host=body.host) is None:
        raise NotFound(f"Compute host {body.host} could not be found.")
    if body.host in _hosts(tx, row):
        raise Conflict(f"Aggregate {id} already has host {body.host}.")
    zone, now = row.metadata.get(ZONE), zones_of_hosts(tx).get(body.host)
    if zone and zone != (now or DEFAULT_ZONE):
        if now:
            raise Conflict(f"Cannot add host to aggregate {id}: host {body.host} is in availability zone {now} already.")
        _refuse_occupied(tx, [body.host], f"Cannot add host to aggregate {id}", Conflict)
    tx.insert(aggregate_hosts, aggregate_id=row.id, host=body.host)
    return show(tx, request, id)


@api.op("POST", "/os-aggregates/{id}/action", action="remove_host", policy=REMOVE_HOST, reply="aggregate", errors=(400, 404, 409))
def remove_host(tx: Tx, request: Request, id: str, body: HostNamed) -> Aggregate:
    """Remove a host."""
    row = _find(tx, id)
    if body.host not in _hosts(tx, row):
        raise NotFound(f"Cannot remove host {body.host} in aggregate {id}")
    if row.metadata.get(ZONE, DEFAULT_ZONE) != DEFAULT_ZONE:
        _refuse_occupied(tx, [body.host], f"Cannot remove host from aggregate {id}", Conflict)
    tx.delete(aggregate_hosts, aggregate_id=row.id, host=body.host)
    return show(tx, request, id)


@api.op("POST", "/os-aggregates/{id}/action", action="set_metadata", policy=SET_METADATA, reply="aggregate", errors=(400, 404))
def set_metadata(tx: Tx, request: Request, id: str, body: MetadataSet) -> Aggregate:
    """Add, change and (where the value is null) remove metadata."""
    row = _find(tx, id)
    tx.update(aggregates, row.id, metadata=_changed(tx, row, body.metadata, f"update metadata of aggregate {id}"))
    return show(tx, request, id)


@api.op("POST", "/os-aggregates/{id}/images", policy=IMAGES, status=202, first="2.81", errors=(400, 403, 404))
def cache_images(tx: Tx, request: Request, id: str, body: WantedImages) -> None:
    """Have the aggregate's hosts fetch images before a server asks for them."""
    wanted = [one.id for one in body.cache]
    if len(set(wanted)) < len(wanted):
        raise BadRequest("Duplicate images in request")
    row = _find(tx, id)
    for image_id in wanted:
        if image.find(tx, request, image_id).status != "active":
            raise BadRequest(f"Image {image_id} is not active.")
    image.precache(tx, wanted, _hosts(tx, row))


# -- what others ask -----------------------------------------------------------------------------------------------


def zones_of_hosts(tx: Tx) -> dict[str, str]:
    """Host -> availability zone, of the hosts that an aggregate puts into one."""
    return {host: entry[ZONE] for host, entries in metadata_of_hosts(tx).items() for entry in entries if ZONE in entry}


def metadata_of_hosts(tx: Tx) -> dict[str, list[dict[str, str]]]:
    """Host -> the metadata of each aggregate that it is in."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in tx.all(sa.select(aggregate_hosts.c.host, aggregates.c.metadata).join(aggregates)):
        found.setdefault(row.host, []).append(row.metadata)
    return found


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, id: str) -> Row:
    if not id.isdecimal() or len(id) > 10:
        raise BadRequest(f"Invalid input received: id must be an integer: {id}")
    row = tx.get(aggregates, number=int(id)) if int(id) <= 2147483647 else None
    if row is None:
        raise NotFound(f"Aggregate {id} could not be found.")
    return row


def _hosts(tx: Tx, row: Row) -> list[str]:
    return [entry.host for entry in tx.rows(aggregate_hosts, order=aggregate_hosts.c.host, aggregate_id=row.id)]


def _zone(name: str) -> str:
    if ":" in name:
        raise BadRequest(f"Cannot create aggregate: availability zone {name} must not contain a colon.")
    return name.strip()


def _changed(tx: Tx, row: Row, changes: t.Mapping[str, str | None], what: str) -> dict[str, str]:
    """The aggregate's metadata after some changes. Its zone may change only while no server is in it, and a host is
    in one zone at most."""
    metadata = {key: value for key, value in {**row.metadata, **changes}.items() if value is not None}
    if metadata.get(ZONE) != row.metadata.get(ZONE):
        hosts = _hosts(tx, row)
        if zone := metadata.get(ZONE):
            metadata[ZONE] = _zone(zone)
            _refuse_second_zone(tx, row, hosts, zone, what)
        _refuse_occupied(tx, hosts, f"Cannot {what}", BadRequest)
    return metadata


def _refuse_second_zone(tx: Tx, row: Row, hosts: list[str], zone: str, what: str) -> None:
    statement = sa.select(aggregate_hosts.c.host, aggregates.c.metadata).join(aggregates)
    for other in tx.all(statement.where(aggregate_hosts.c.host.in_(hosts), aggregates.c.id != row.id)):
        if (now := other.metadata.get(ZONE, zone)) != zone:
            raise BadRequest(f"Cannot {what}: host {other.host} is in availability zone {now} already.")


def _refuse_occupied(tx: Tx, hosts: t.Collection[str], what: str, error: type[BadRequest | Conflict]) -> None:
    busy = tx.first(sa.select(servers.c.host).where(servers.c.host.in_(hosts)))
    if busy is not None:
        raise error(f"{what}: there are servers on host {busy.host}, whose availability zone would change under them.")


def _view(row: Row, hosts: list[str] | UnsetType, **more: t.Any) -> Aggregate:
    fields = {"metadata": row.metadata} | more
    return Aggregate(
        id=row.number, uuid=row.id, name=row.name, availability_zone=row.metadata.get(ZONE), hosts=hosts,
        created_at=_iso(row.created_at) or "", updated_at=_iso(row.updated_at), **fields,
    )  # fmt: skip


def _iso(moment: t.Any) -> str | None:
    return clock.iso(moment, micro=True, zone="")
