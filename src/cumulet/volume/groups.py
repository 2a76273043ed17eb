"""Groups: volumes that are snapshot and deleted together."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Body, Page, Query, Request, UnsetType, View, since
from . import ADMIN, MEMBER, READER, api
from .group_types import find_group_type
from .listing import ListQuery, named, page, whose
from .lookup import find, theirs
from .quota import check_quota
from .tables import attachments, group_snapshots, groups, snapshots, volumes
from .types import find_type
from .uses import create as make_volume
from .wire import Id, Text, Truth, moment, truth, wire
from .workflows.delete import DeleteVolume
from .workflows.groups import DeleteGroup, FillGroup

# -- wire ----------------------------------------------------------------------------------------------------------


class GroupCreate(Body):
    group_type: Id
    volume_types: t.Annotated[list[Id], msgspec.Meta(min_length=1)]
    name: Text | None = None
    description: Text | None = None
    availability_zone: Text | None = None


class FromSource(Body):
    name: Text | None = None
    description: Text | None = None
    source_group_id: Id | None = None
    group_snapshot_id: Id | None = None


class GroupUpdate(Body):
    name: Text | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    add_volumes: str | None = None
    remove_volumes: str | None = None


class Delete(Body):
    delete_volumes: Truth = wire("delete-volumes", False)


class ResetStatus(Body):
    status: t.Literal["creating", "available", "deleting", "error", "error_deleting", "updating"]


class GroupQuery(Query):
    list_volume: str | None = None


class Summary(View):
    id: str
    name: str | None


class Group(Summary, kw_only=True):
    status: str
    description: str | None
    availability_zone: str | None
    created_at: str | None
    group_type: str
    volume_types: list[str]
    group_snapshot_id: t.Annotated[str | None, since("3.14")]
    source_group_id: t.Annotated[str | None, since("3.14")]
    volumes: t.Annotated[list[str] | UnsetType, since("3.25")] = UNSET
    replication_status: t.Annotated[str | None, since("3.38")] = None


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("group:create", MEMBER, "Create a group.")
INDEX = api.rule("group:get_all", READER, "List groups.")
SHOW = api.rule("group:get", READER, "Show a group.")
UPDATE = api.rule("group:update", MEMBER, "Change a group.")
DELETE = api.rule("group:delete", MEMBER, "Delete a group.")
RESET = api.rule("group:reset_status", ADMIN, "Say which status a group has.")

FIRST = "3.13"


def target(tx: Tx, request: Request, id: str) -> dict:
    """What policy is checked against: the group's project."""
    return {"project_id": find_group(tx, request, id).project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/groups", policy=CREATE, first=FIRST, wrap="group", status=202, errors=(400, 404, 413))
def create(tx: Tx, request: Request, body: GroupCreate) -> Summary:
    """Create a group, for volumes of some types."""
    kind = find_group_type(tx, request, body.group_type)
    wanted = [find_type(tx, request.context, name).id for name in body.volume_types]
    if body.availability_zone not in (None, "", "nova"):
        raise BadRequest(f"Invalid input received: Availability zone '{body.availability_zone}' is invalid.")
    return _summary(_insert(tx, request, body.name, body.description, group_type_id=kind.id, volume_types=wanted, status="available"))


@api.op("POST", "/groups/action", action="create-from-src", policy=CREATE, first="3.14", reply="group", status=202, errors=(400, 404, 413))
def create_from_source(tx: Tx, request: Request, body: FromSource) -> Summary:
    """Create a group of copies: of another group's volumes, or of what a group's snapshot holds."""
    if bool(body.source_group_id) == bool(body.group_snapshot_id):
        raise BadRequest("Invalid input for field/attribute create-from-src: one of source_group_id and group_snapshot_id is required.")
    source, copied = _source(tx, request, body)
    if not copied:
        raise BadRequest(f"Invalid input received: Source group {source.id} is empty. No group will be created.")
    row = _insert(tx, request, body.name, body.description, group_type_id=source.group_type_id, volume_types=source.volume_types,
                  status="creating", source_group_id=body.source_group_id, group_snapshot_id=body.group_snapshot_id)  # fmt: skip
    for one in copied:
        snapshot_id, source_volid = (one.id, None) if "volume_id" in one._mapping else (None, one.id)
        make_volume(tx, request, size_gib=0, name=one.name, description=one.description, group_id=row.id, snapshot_id=snapshot_id,
                    source_volid=source_volid)  # fmt: skip
    FillGroup.start(tx, row.id, request_id=request.id)
    return _summary(row)


@api.op("GET", "/groups", policy=INDEX, first=FIRST, reply="groups")
def index(tx: Tx, request: Request, query: ListQuery) -> Page[Summary]:
    """List groups, in short."""
    rows, marker, extra = page(tx, request, query, groups, [*whose(request, query, groups), *named(query, groups)])
    return Page([_summary(row) for row in rows], marker, extra)


@api.op("GET", "/groups/detail", policy=INDEX, first=FIRST, reply="groups")
def detail(tx: Tx, request: Request, query: ListQuery) -> Page[Group]:
    """List groups whole."""
    rows, marker, extra = page(tx, request, query, groups, [*whose(request, query, groups), *named(query, groups)])
    return Page([_view(row) for row in rows], marker, extra)


@api.op("GET", "/groups/{id}", policy=SHOW, target=target, first=FIRST, wrap="group", errors=(404,))
def show(tx: Tx, request: Request, id: str, query: GroupQuery) -> Group:
    """Show a group."""
    found = _view(find_group(tx, request, id))
    if truth(query.list_volume):
        found.volumes = [row.id for row in tx.rows(volumes, group_id=id)]
    return found


@api.op("PUT", "/groups/{id}", policy=UPDATE, target=target, first=FIRST, wrap="group", status=202, errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: GroupUpdate) -> None:
    """Change a group's name, description, or which volumes are in it."""
    row = find_group(tx, request, id)
    add, remove = _ids(body.add_volumes), _ids(body.remove_volumes)
    changes = {name: value for name in ("name", "description") if (value := getattr(body, name)) is not UNSET}
    if not changes and not add and not remove:
        raise BadRequest("Invalid input for field/attribute group: one of name, description, add_volumes and remove_volumes is required.")
    if row.status != "available":
        raise BadRequest(f"Invalid group: Group status must be available, but it is {row.status}.")
    if both := set(add) & set(remove):
        raise BadRequest(f"Invalid volume: UUIDs {', '.join(both)} are in both add and remove volume list.")
    for volume_id in add:
        _add(tx, request, row, volume_id)
    for volume_id in remove:
        if not tx.update(volumes, {"id": volume_id, "group_id": row.id}, group_id=None):
            raise BadRequest(f"Invalid volume: Cannot remove volume {volume_id} from group {row.id}: it is not in it.")
    if changes:
        tx.update(groups, row.id, **changes)


@api.op("POST", "/groups/{id}/action", action="delete", policy=DELETE, target=target, first=FIRST, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str, body: Delete) -> None:
    """Delete a group and, where that is asked for, its volumes."""
    row, inside = find_group(tx, request, id), tx.rows(volumes, group_id=id)
    if inside and not truth(body.delete_volumes):
        raise BadRequest(
            f"Invalid group: Group {id} is not empty: it has {len(inside)} volumes. delete-volumes flag needs to be True to delete it."
        )
    for volume in inside:
        if tx.rows(attachments, volume_id=volume.id, status="attached"):
            raise BadRequest(f"Invalid volume: Volume in group {id} is attached. Need to detach first: {volume.id}.")
        if tx.rows(snapshots, volume_id=volume.id):
            raise BadRequest(f"Invalid volume: Volume in group still has dependent snapshots: {volume.id}.")
    if tx.rows(group_snapshots, group_id=id):
        raise BadRequest(f"Invalid group: Cannot delete group {id}: it has group snapshots.")
    for volume in inside:
        DeleteVolume.begin(tx, volume, request.id)
    DeleteGroup.begin(tx, row, request.id)


@api.op("POST", "/groups/{id}/action", action="reset_status", policy=RESET, target=target, first="3.20", status=202, errors=(400, 404))
def reset_status(tx: Tx, request: Request, id: str, body: ResetStatus) -> None:
    """Say which status a group has."""
    tx.update(groups, find_group(tx, request, id).id, status=body.status)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_group(tx: Tx, request: Request, id: str) -> Row:
    """A group of the caller's. Raises NotFound."""
    return theirs(tx, request.context, groups, id, f"Group {id} could not be found.")


def find_group_snapshot(tx: Tx, request: Request, id: str) -> Row:
    """A group snapshot of the caller's. Raises NotFound."""
    return theirs(tx, request.context, group_snapshots, id, f"GroupSnapshot {id} could not be found.")


def _insert(tx: Tx, request: Request, name: str | None, description: str | None, **values: t.Any) -> Row:
    check_quota(tx, request.project, groups=1)
    return tx.insert(groups, project_id=request.project, user_id=request.context.user_id, name=name, description=description,
                     availability_zone="nova", **values)  # fmt: skip


def _source(tx: Tx, request: Request, body: FromSource) -> tuple[Row, list[Row]]:
    """The group that is copied, and the volumes or snapshots of it."""
    if body.source_group_id:
        group = find_group(tx, request, body.source_group_id)
        return group, tx.rows(volumes, group_id=group.id)
    taken = find_group_snapshot(tx, request, body.group_snapshot_id or "")
    return find_group(tx, request, taken.group_id), tx.rows(snapshots, group_snapshot_id=taken.id)


def _add(tx: Tx, request: Request, group: Row, volume_id: str) -> None:
    row = find(tx, request.context, volume_id)
    if row.group_id not in (None, group.id) or row.status not in ("available", "in-use"):
        raise BadRequest(f"Invalid volume: Cannot add volume {row.id} to group {group.id}: its status is {row.status}, its group "
                         f"{row.group_id or 'none'}.")  # fmt: skip
    if row.type_id not in group.volume_types:
        raise BadRequest(f"Invalid volume: Cannot add volume {row.id} to group {group.id}: its volume type is none of the group's.")
    tx.update(volumes, row.id, group_id=group.id)


def _ids(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").replace("\x00", "").split(",") if one.strip()]


def _summary(row: Row) -> Summary:
    return Summary(id=row.id, name=row.name)


def _view(row: Row) -> Group:
    return Group(
        id=row.id, name=row.name, status=row.status, description=row.description, availability_zone=row.availability_zone,
        created_at=moment(row.created_at), group_type=row.group_type_id, volume_types=row.volume_types,
        group_snapshot_id=row.group_snapshot_id, source_group_id=row.source_group_id,
    )  # fmt: skip
