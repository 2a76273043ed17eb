"""Volume types: kinds of volumes that an administrator offers, with what their hosts must have."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, NotFound, Page, Query, Request, UnsetType, View, paged
from . import ADMIN, READER, api
from .hosts import DEFAULT_TYPE
from .listing import check_marker, order
from .tables import default_types, type_access, types, volumes
from .wire import INT_MAX, Key, Name, Text, Truth, truth, wire

# -- wire ----------------------------------------------------------------------------------------------------------

Specs = dict[Key, Text]


class TypeCreate(Body):
    name: Name
    description: Text | None = None
    extra_specs: Specs | None = None
    is_public: Truth = wire("os-volume-type-access:is_public", True)


class TypeUpdate(Body):
    name: Name | None = None
    description: Text | None | UnsetType = UNSET
    is_public: Truth | None = None


class TypeQuery(Query):
    is_public: str | None = None
    extra_specs: str | None = None
    limit: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | None = None
    offset: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | None = None
    marker: str | None = None
    sort: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None


class VolumeType(View, kw_only=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    extra_specs: dict[str, str] | UnsetType = UNSET
    qos_specs_id: str | None | UnsetType = UNSET
    access_is_public: bool | UnsetType = wire("os-volume-type-access:is_public", UNSET)


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("volume_extension:type_create", ADMIN, "Create a volume type.")
UPDATE = api.rule("volume_extension:type_update", ADMIN, "Change a volume type.")
DELETE = api.rule("volume_extension:type_delete", ADMIN, "Delete a volume type.")
SHOW = api.rule("volume_extension:type_get", READER, "Show a volume type.")
INDEX = api.rule("volume_extension:type_get_all", READER, "List volume types.")
SPECS = api.rule("volume_extension:access_types_extra_specs", READER, "See volume types' extra specs.")
SENSITIVE = api.rule("volume_extension:types_extra_specs:read_sensitive", ADMIN, "See the extra specs that tell of the back end.")
QOS = api.rule("volume_extension:access_types_qos_specs_id", ADMIN, "See which QoS specs a volume type has.")

PUBLIC_SPECS = {"RESKEY:availability_zones", "multiattach", "replication_enabled"}
"""What everybody sees of extra specs."""

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/types", policy=CREATE, wrap="volume_type", errors=(400, 409))
def create(tx: Tx, request: Request, body: TypeCreate) -> VolumeType:
    """Create a volume type."""
    row = tx.insert(
        types, name=body.name.strip(), description=body.description, is_public=truth(body.is_public), extra_specs=body.extra_specs or {}
    )
    made = view(request, row)
    made.qos_specs_id = UNSET
    return made


@api.op("GET", "/types", policy=INDEX, reply="volume_types")
def index(tx: Tx, request: Request, query: TypeQuery) -> Page[VolumeType]:
    """List the volume types that the caller may use; all of them, or by whether they are public, for an administrator."""
    check_marker(tx, types, query.marker)
    statement = sa.select(types).where(*_seen(request, query))
    if query.offset:
        statement = statement.offset(query.offset)
    rows, marker = paged(tx, statement, types, order=order(query, types), limit=query.limit, marker=query.marker,
                         most=request.runtime.config.page_limit)  # fmt: skip
    return Page([view(request, row) for row in rows], marker)


@api.op("GET", "/types/default", policy=SHOW, wrap="volume_type", errors=(404,))
def show_default(tx: Tx, request: Request) -> VolumeType:
    """Show the type of a volume of this project that names none."""
    row = default_type(tx, request.context.project_id)
    if row is None:
        raise NotFound("Default volume type can not be found.")
    return view(request, row)


@api.op("GET", "/types/{id}", policy=SHOW, wrap="volume_type", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> VolumeType:
    """Show a volume type."""
    return view(request, find_by_id(tx, request.context, id))


@api.op("PUT", "/types/{id}", policy=UPDATE, wrap="volume_type", errors=(400, 404, 409))
def update(tx: Tx, request: Request, id: str, body: TypeUpdate) -> VolumeType:
    """Change a volume type's name, description, or whether it is public."""
    row = find_by_id(tx, request.context, id)
    changes: dict[str, t.Any] = {} if body.name is None else {"name": body.name.strip()}
    if body.description is not UNSET:
        changes["description"] = body.description
    if body.is_public is not None:
        changes["is_public"] = truth(body.is_public)
    if not changes:
        raise BadRequest("Specify volume type name, description, is_public or a combination thereof.")
    if row.name == DEFAULT_TYPE and changes.get("name", DEFAULT_TYPE) != DEFAULT_TYPE:
        raise BadRequest(f"Invalid volume type: {DEFAULT_TYPE} is the default volume type and cannot be renamed.")
    tx.update(types, row.id, **changes)
    changed = view(request, find_by_id(tx, request.context, id))
    changed.qos_specs_id = changed.access_is_public = UNSET
    return changed


@api.op("DELETE", "/types/{id}", policy=DELETE, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a volume type that no volume has and that is nobody's default."""
    row = find_by_id(tx, request.context, id)
    if count := tx.scalar(sa.select(sa.func.count()).select_from(volumes).where(volumes.c.type_id == row.id)):
        raise BadRequest(f"Target volume type is still in use: {count} volumes have the type {row.name}.")
    if row.name == DEFAULT_TYPE or tx.rows(default_types, type_id=row.id):
        raise BadRequest(f"Invalid volume type: Volume type {row.id} is a default volume type and cannot be deleted.")
    tx.delete(types, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_by_id(tx: Tx, context: Context, id: str) -> Row:
    """A volume type that the caller may use. Raises NotFound."""
    row = tx.get(types, id=id)
    if row is None or not _may_use(tx, context, row):
        raise NotFound(f"Volume type {id} could not be found.")
    return row


def find_type(tx: Tx, context: Context, wanted: str) -> Row:
    """A volume type that the caller may use, by its name or id. Raises NotFound."""
    row = tx.get(types, id=wanted) or tx.get(types, name=wanted)
    if row is None or not _may_use(tx, context, row):
        raise NotFound(f"Volume type {wanted} could not be found.")
    return row


def default_type(tx: Tx, project_id: str | None) -> Row | None:
    """The type of a project's volumes that name none: the project's own default, else the cloud's."""
    own = tx.get(default_types, project_id=project_id)
    return tx.get(types, id=own.type_id) if own else tx.get(types, name=DEFAULT_TYPE)


def view(request: Request, row: Row) -> VolumeType:
    made = VolumeType(id=row.id, name=row.name, description=row.description, is_public=row.is_public, access_is_public=row.is_public)
    if request.allows(SPECS):
        made.extra_specs = visible_specs(request, row)
    if request.allows(QOS):
        made.qos_specs_id = row.qos_specs_id
    return made


def visible_specs(request: Request, row: Row) -> dict[str, str]:
    """A type's extra specs, as far as the caller sees them."""
    everything = request.allows(SENSITIVE)
    return {key: value for key, value in row.extra_specs.items() if everything or key in PUBLIC_SPECS}


def _may_use(tx: Tx, context: Context, row: Row) -> bool:
    return row.is_public or context.is_admin or tx.get(type_access, type_id=row.id, project_id=context.project_id) is not None


def _seen(request: Request, query: TypeQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    c = types.c
    if request.context.is_admin:
        wanted = (query.is_public or "true").lower()
        if wanted != "none":
            yield c.is_public == truth(wanted)
    else:
        mine = sa.select(type_access.c.type_id).where(type_access.c.project_id == request.context.project_id)
        yield sa.or_(c.is_public, c.id.in_(mine))
