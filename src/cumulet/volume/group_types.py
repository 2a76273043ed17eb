"""Group types: kinds of groups of volumes, and their specs."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, NotFound, Page, Request, UnsetType, View
from . import ADMIN, ANYBODY, api
from .listing import ListQuery, page
from .tables import group_types, groups
from .wire import Name, Text, Truth, check_one_key, truth

# -- wire ----------------------------------------------------------------------------------------------------------

SpecKey = t.Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9-_:.]{1,255}$")]
Specs = dict[SpecKey, Text | None]


class GroupTypeCreate(Body):
    name: Name
    description: Text | None = None
    is_public: Truth = True
    group_specs: Specs | None = None


class GroupTypeUpdate(Body):
    name: Text | None = None
    description: Text | None | UnsetType = UNSET
    is_public: Truth | None = None


class GroupTypeQuery(ListQuery):
    is_public: str | None = None


class GroupType(View, kw_only=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    group_specs: dict[str, str | None] | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("group:group_types:create", ADMIN, "Create a group type.")
UPDATE = api.rule("group:group_types:update", ADMIN, "Change a group type.")
DELETE = api.rule("group:group_types:delete", ADMIN, "Delete a group type.")
SPECS = api.rule("group:access_group_types_specs", ADMIN, "See group types' specs.")
SPECS_SHOW = api.rule("group:group_types_specs:get", ADMIN, "Show one of a group type's specs.")
SPECS_INDEX = api.rule("group:group_types_specs:get_all", ADMIN, "List a group type's specs.")
SPECS_CREATE = api.rule("group:group_types_specs:create", ADMIN, "Add specs to a group type.")
SPECS_UPDATE = api.rule("group:group_types_specs:update", ADMIN, "Change one of a group type's specs.")
SPECS_DELETE = api.rule("group:group_types_specs:delete", ADMIN, "Remove one of a group type's specs.")

FIRST = "3.11"
DEFAULT = "default_cgsnapshot_type"
PATH = "/group_types/{id}"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/group_types", policy=CREATE, first=FIRST, wrap="group_type", status=202, errors=(400, 409))
def create(tx: Tx, request: Request, body: GroupTypeCreate) -> GroupType:
    """Create a group type."""
    row = tx.insert(group_types, name=body.name.strip(), description=body.description, is_public=truth(body.is_public),
                    group_specs=body.group_specs or {})  # fmt: skip
    return _view(request, row)


@api.op("GET", "/group_types", policy=ANYBODY, first=FIRST, reply="group_types")
def index(tx: Tx, request: Request, query: GroupTypeQuery) -> Page[GroupType]:
    """List group types: the public ones, for an administrator by whether they are public."""
    clauses = []
    wanted = (query.is_public or "true").lower() if request.context.is_admin else "true"
    if wanted != "none":
        clauses.append(group_types.c.is_public == truth(wanted))
    rows, marker, extra = page(tx, request, query, group_types, clauses)
    return Page([_view(request, row) for row in rows], marker, extra)


@api.op("GET", PATH, policy=ANYBODY, first=FIRST, wrap="group_type", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> GroupType:
    """Show a group type, by its id, or the one that is the `default`."""
    row = tx.get(group_types, name=DEFAULT) if id == "default" else find_group_type(tx, request, id)
    if row is None:
        raise NotFound("Default group type can not be found.")
    return _view(request, row)


@api.op("PUT", PATH, policy=UPDATE, first=FIRST, wrap="group_type", errors=(400, 404, 409))
def update(tx: Tx, request: Request, id: str, body: GroupTypeUpdate) -> GroupType:
    """Change a group type's name, description, or whether it is public."""
    row = find_group_type(tx, request, id)
    changes: dict[str, t.Any] = {}
    if body.name is not None:
        if not body.name.strip():
            raise BadRequest("Group type name can not be empty.")
        changes["name"] = body.name.strip()
    if body.description is not UNSET:
        changes["description"] = body.description
    if body.is_public is not None:
        changes["is_public"] = truth(body.is_public)
    if not changes:
        raise BadRequest("Specify group type name, description or a combination thereof.")
    tx.update(group_types, row.id, **changes)
    return _view(request, find_group_type(tx, request, id))


@api.op("DELETE", PATH, policy=DELETE, first=FIRST, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a group type that no group has."""
    row = find_group_type(tx, request, id)
    if count := tx.scalar(sa.select(sa.func.count()).select_from(groups).where(groups.c.group_type_id == row.id)):
        raise BadRequest(f"Target group type is still in use: {count} groups have the type {row.name}.")
    tx.delete(group_types, id=row.id)


# -- specs ---------------------------------------------------------------------------------------------------------


@api.op("GET", PATH + "/group_specs", policy=SPECS_INDEX, first=FIRST, reply="group_specs", errors=(404,))
def index_specs(tx: Tx, request: Request, id: str) -> dict:
    """List a group type's specs."""
    return find_group_type(tx, request, id).group_specs


@api.op("POST", PATH + "/group_specs", policy=SPECS_CREATE, first=FIRST, wrap="group_specs", status=202, errors=(400, 404))
def create_specs(tx: Tx, request: Request, id: str, body: Specs) -> dict:
    """Add specs to a group type, or change them."""
    row = find_group_type(tx, request, id)
    tx.update(group_types, row.id, group_specs=row.group_specs | body)
    return body


@api.op("GET", PATH + "/group_specs/{key}", policy=SPECS_SHOW, first=FIRST, errors=(404,))
def show_spec(tx: Tx, request: Request, id: str, key: str) -> dict:
    """Show one spec."""
    return {key: _spec(find_group_type(tx, request, id), key)}


@api.op("PUT", PATH + "/group_specs/{key}", policy=SPECS_UPDATE, first=FIRST, errors=(400, 404))
def update_spec(tx: Tx, request: Request, id: str, key: str, body: Specs) -> dict:
    """Set one spec."""
    row = find_group_type(tx, request, id)
    check_one_key(body, key)
    tx.update(group_types, row.id, group_specs=row.group_specs | body)
    return body


@api.op("DELETE", PATH + "/group_specs/{key}", policy=SPECS_DELETE, first=FIRST, status=202, errors=(404,))
def delete_spec(tx: Tx, request: Request, id: str, key: str) -> None:
    """Remove one spec."""
    row = find_group_type(tx, request, id)
    _spec(row, key)
    tx.update(group_types, row.id, group_specs={name: value for name, value in row.group_specs.items() if name != key})


# -- helpers -------------------------------------------------------------------------------------------------------


def find_group_type(tx: Tx, request: Request, id: str) -> Row:
    """A group type that the caller may use, by its id or name. Raises NotFound."""
    row = tx.get(group_types, id=id) or tx.get(group_types, name=id)
    if row is None or not (row.is_public or request.context.is_admin):
        raise NotFound(f"Group type {id} could not be found.")
    return row


def _spec(row: Row, key: str) -> str | None:
    if key not in row.group_specs:
        raise NotFound(f"Group Type {row.id} has no specs with key {key}.")
    return row.group_specs[key]


def _view(request: Request, row: Row) -> GroupType:
    made = GroupType(id=row.id, name=row.name, description=row.description, is_public=row.is_public)
    if request.allows(SPECS):
        made.group_specs = row.group_specs
    return made
