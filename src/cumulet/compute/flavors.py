"""Flavors: the sizes that servers come in. A server keeps a copy of its flavor, so one may be deleted while it is in use."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, BadRequest, Body, NotFound, Page, Query, Request, UnsetType, View, paged, since, until
from . import ADMIN, ANY, PROJECT_READER, api
from .wire import INT_MAX, PRINTABLE, Name, Natural, Positive, Truth, links, number, truth

# -- tables --------------------------------------------------------------------------------------------------------

flavors = table(
    "flavors",
    sa.Column("flavorid", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("ram", sa.Integer, nullable=False),
    sa.Column("disk", sa.Integer, nullable=False),
    sa.Column("ephemeral", sa.Integer, nullable=False, default=0),
    sa.Column("swap", sa.Integer, nullable=False, default=0),
    sa.Column("rxtx_factor", sa.Float, nullable=False, default=1.0),
    sa.Column("is_public", sa.Boolean, nullable=False, default=True),
    sa.Column("extra_specs", sa.JSON, nullable=False),
    unique={
        ("name",): "Flavor with name {name} already exists.",
        ("flavorid",): "Flavor with ID {flavorid} already exists.",
    },
)
"""`flavorid` is the id that clients use. `ram` and `swap` in MiB, `disk` and `ephemeral` in GiB."""

flavor_access = table(
    "flavor_access",
    sa.Column("flavor_id", sa.String(64), sa.ForeignKey("flavors.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.PrimaryKeyConstraint("flavor_id", "project_id"),
    id=False,
)
"""The projects that may use a flavor that is not public."""

# -- wire ----------------------------------------------------------------------------------------------------------

Id = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^(?! )[a-zA-Z0-9. _-]+(?<! )$")]
Factor = t.Annotated[float, msgspec.Meta(gt=0, le=3.40282e38)] | t.Annotated[str, msgspec.Meta(pattern=r"^\d{1,30}(\.\d{1,30})?$")]
Description = t.Annotated[str, msgspec.Meta(max_length=65535, pattern=PRINTABLE)]


class FlavorCreate(Body):
    name: Name
    ram: Positive
    vcpus: Positive
    disk: Natural
    id: Id | int | float | None = None
    ephemeral: Natural = msgspec.field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    swap: Natural = 0
    rxtx_factor: t.Annotated[Factor, until("2.101")] = 1.0
    is_public: Truth = msgspec.field(name="os-flavor-access:is_public", default=True)
    description: t.Annotated[Description | None, since("2.55")] = None


class FlavorUpdate(Body):
    description: Description | None


class FlavorQuery(Query):
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None
    is_public: str | None = None
    min_ram: str | None = msgspec.field(name="minRam", default=None)
    min_disk: str | None = msgspec.field(name="minDisk", default=None)
    name: str | None = None
    sort_key: t.Literal["created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb",
                        "name", "root_gb", "rxtx_factor", "swap", "updated_at", "vcpu_weight", "vcpus"] = "flavorid"  # fmt: skip
    sort_dir: t.Literal["asc", "desc"] = "asc"


class FlavorBrief(View):
    id: str
    name: str
    description: t.Annotated[str | None, since("2.55")]
    links: list[dict]


class Flavor(FlavorBrief, kw_only=True):
    ram: int
    disk: int
    vcpus: int
    swap: int | str
    ephemeral: int = msgspec.field(name="OS-FLV-EXT-DATA:ephemeral")
    disabled: t.Annotated[bool, until("2.101")] = msgspec.field(name="OS-FLV-DISABLED:disabled", default=False)
    is_public: bool = msgspec.field(name="os-flavor-access:is_public")
    rxtx_factor: t.Annotated[float, until("2.101")]
    extra_specs: t.Annotated[dict[str, str] | UnsetType, since("2.61")] = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

READ = api.rule("os_compute_api:flavors", ANY, "List and show flavors.")
CREATE = api.rule("os_compute_api:os-flavor-manage:create", ADMIN, "Create a flavor.")
UPDATE = api.rule("os_compute_api:os-flavor-manage:update", ADMIN, "Change a flavor's description.")
DELETE = api.rule("os_compute_api:os-flavor-manage:delete", ADMIN, "Delete a flavor.")
SPECS = api.rule("os_compute_api:os-flavor-extra-specs:index", PROJECT_READER, "List a flavor's extra specs.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/flavors", policy=READ, reply="flavors", errors=(400,))
def index(tx: Tx, request: Request, query: FlavorQuery) -> Page[FlavorBrief]:
    """List flavors."""
    rows, marker = _listed(tx, request, query)
    brief = [FlavorBrief(id=r.flavorid, name=r.name, description=r.description, links=links(request, "flavors", r.flavorid)) for r in rows]
    return Page(brief, marker)


@api.op("GET", "/flavors/detail", policy=READ, reply="flavors", errors=(400,))
def detail(tx: Tx, request: Request, query: FlavorQuery) -> Page[Flavor]:
    """List flavors in detail."""
    rows, marker = _listed(tx, request, query)
    return Page([_view(request, row) for row in rows], marker)


@api.op("POST", "/flavors", policy=CREATE, wrap="flavor", errors=(400, 409))
def create(tx: Tx, request: Request, body: FlavorCreate) -> Flavor:
    """Create a flavor."""
    row = tx.insert(
        flavors, flavorid=ids.new() if body.id is None else str(body.id), name=body.name.strip(), description=body.description,
        vcpus=number("vcpus", body.vcpus, 1), ram=number("ram", body.ram, 1), disk=number("disk", body.disk),
        ephemeral=number("OS-FLV-EXT-DATA:ephemeral", body.ephemeral), swap=number("swap", body.swap),
        rxtx_factor=_factor(body.rxtx_factor), is_public=truth(body.is_public), extra_specs={},
    )  # fmt: skip
    return _view(request, row)


@api.op("GET", "/flavors/{id}", policy=READ, reply="flavor", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Flavor:
    """Show a flavor."""
    return _view(request, find_flavor(tx, request, id))


@api.op("PUT", "/flavors/{id}", policy=UPDATE, wrap="flavor", first="2.55", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: FlavorUpdate) -> Flavor:
    """Change a flavor's description."""
    tx.update(flavors, find_flavor(tx, request, id).id, description=body.description)
    return _view(request, find_flavor(tx, request, id))


@api.op("DELETE", "/flavors/{id}", policy=DELETE, status=202, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a flavor; servers made with it keep their copy."""
    tx.delete(flavors, id=find_flavor(tx, request, id).id)


# -- what others ask -----------------------------------------------------------------------------------------------


def find_flavor(tx: Tx, request: Request, id: str) -> Row:
    """The flavor that clients know by `id`, where the caller's project may use it. Raises NotFound."""
    row = tx.get(flavors, flavorid=id)
    if row is None or not (row.is_public or request.context.is_admin or _has_access(tx, request, row)):
        raise NotFound(f"Flavor {id} could not be found.")
    return row


def add_flavor(tx: Tx, *, id: str, name: str, ram: int, vcpus: int, disk: int) -> None:
    """A public flavor, for a new cloud. MiB of memory, GiB of disk."""
    tx.insert(
        flavors, flavorid=id, name=name, vcpus=vcpus, ram=ram, disk=disk, ephemeral=0, swap=0, rxtx_factor=1.0,
        is_public=True, extra_specs={},
    )  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------

_COLUMNS = {"ephemeral_gb": "ephemeral", "memory_mb": "ram", "root_gb": "disk", "disabled": "created_at", "vcpu_weight": "created_at"}
_TRUE, _FALSE = ("1", "t", "true", "on", "y", "yes"), ("0", "f", "false", "off", "n", "no")


def _listed(tx: Tx, request: Request, query: FlavorQuery) -> tuple[list[Row], str | None]:
    statement = sa.select(flavors)
    public = _public(query.is_public) if request.context.is_admin else True
    if public is not None:
        clause = flavors.c.is_public == public
        if public and not request.context.is_admin:
            mine = sa.select(flavor_access.c.flavor_id).where(flavor_access.c.project_id == request.context.project_id)
            clause |= flavors.c.id.in_(mine)
        statement = statement.where(clause)
    if query.name is not None and request.version >= (2, 102):
        statement = statement.where(flavors.c.name == query.name)
    for name, value, column in (("minRam", query.min_ram, flavors.c.ram), ("minDisk", query.min_disk, flavors.c.disk)):
        if value is not None:
            statement = statement.where(column >= _least(name, value))
    order = [(_COLUMNS.get(query.sort_key, query.sort_key), query.sort_dir)]
    rows, more = paged(tx, statement, flavors, order=order, limit=query.limit, marker=_marker(tx, query.marker),
                       most=request.runtime.config.page_limit)  # fmt: skip
    return rows, more and rows[-1].flavorid


def _public(text: str | None) -> bool | None:
    """Which flavors an administrator asked for: public ones (unless they say otherwise), others, or (None) both."""
    word = (text or "true").strip().lower()
    if word == "none":
        return None
    if word not in _TRUE + _FALSE:
        raise BadRequest(f"Invalid is_public filter [{text}]")
    return word in _TRUE


def _least(name: str, value: str) -> int:
    if not value.removeprefix("-").isdecimal() or len(value) > 18:
        raise BadRequest(f"Invalid {name} filter [{value}]")
    return min(int(value), INT_MAX)


def _marker(tx: Tx, marker: str | None) -> str | None:
    if marker is None:
        return None
    row = tx.get(flavors, flavorid=marker)
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    return row.id


def _has_access(tx: Tx, request: Request, row: Row) -> bool:
    return tx.get(flavor_access, flavor_id=row.id, project_id=request.context.project_id) is not None


def _factor(value: float | str) -> float:
    factor = float(value)
    if not 0 < factor <= 3.40282e38:
        raise BadRequest(f"Invalid input for field/attribute rxtx_factor. Value: {value}. It must be above 0.")
    return factor


def _view(request: Request, row: Row) -> Flavor:
    return Flavor(
        id=row.flavorid, name=row.name, description=row.description, links=links(request, "flavors", row.flavorid),
        ram=row.ram, disk=row.disk, vcpus=row.vcpus, swap=row.swap or ("" if request.version < (2, 75) else 0),
        ephemeral=row.ephemeral, is_public=row.is_public, rxtx_factor=row.rxtx_factor,
        extra_specs=row.extra_specs if request.version >= (2, 61) and request.allows(SPECS) else UNSET,
    )  # fmt: skip
