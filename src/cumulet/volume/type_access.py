"""Which projects may use a volume type that is not public."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import Body, Conflict, NotFound, Request, View
from . import ADMIN, api
from .tables import type_access
from .types import find_by_id
from .wire import Name

INDEX = api.rule("volume_extension:volume_type_access:get_all_for_type", ADMIN, "List who may use a volume type.")
ADD = api.rule("volume_extension:volume_type_access:addProjectAccess", ADMIN, "Let a project use a volume type.")
REMOVE = api.rule("volume_extension:volume_type_access:removeProjectAccess", ADMIN, "Take a volume type from a project.")


class Project(Body):
    project: Name


class Access(View):
    volume_type_id: str
    project_id: str


@api.op("GET", "/types/{id}/os-volume-type-access", policy=INDEX, reply="volume_type_access", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[Access]:
    """List the projects that may use a volume type."""
    row = _private(tx, request, id, NotFound("Access list not available for public volume types."))
    return [Access(volume_type_id=row.id, project_id=one.project_id) for one in tx.rows(type_access, type_id=row.id)]


@api.op("POST", "/types/{id}/action", action="addProjectAccess", policy=ADD, status=202, errors=(400, 404, 409))
def add(tx: Tx, request: Request, id: str, body: Project) -> None:
    """Let a project use a volume type."""
    row = _private(tx, request, id, Conflict("Type access modification is not applicable to public volume type."))
    tx.insert(type_access, type_id=row.id, project_id=body.project)


@api.op("POST", "/types/{id}/action", action="removeProjectAccess", policy=REMOVE, status=202, errors=(400, 404, 409))
def remove(tx: Tx, request: Request, id: str, body: Project) -> None:
    """Take a volume type from a project; volumes that have it keep it."""
    row = _private(tx, request, id, Conflict("Type access modification is not applicable to public volume type."))
    if not tx.delete(type_access, type_id=row.id, project_id=body.project):
        raise NotFound(f"Volume type access not found for {row.id} / {body.project} combination.")


def _private(tx: Tx, request: Request, id: str, otherwise: Exception) -> Row:
    row = find_by_id(tx, request.context, id)
    if row.is_public:
        raise otherwise
    return row
