"""The volume type of a project's volumes that name none, where it is not the cloud's default."""

from __future__ import annotations

from ..kernel.db import Row, Tx
from ..kernel.http import Body, NotFound, Request, View
from . import ADMIN, api
from .tables import default_types
from .types import find_type
from .wire import Name

SET = api.rule("volume_extension:default_set_or_update", ADMIN, "Set a project's default volume type.")
SHOW = api.rule("volume_extension:default_get", ADMIN, "Show a project's default volume type.")
INDEX = api.rule("volume_extension:default_get_all", ADMIN, "List projects' default volume types.")
UNSET_RULE = api.rule("volume_extension:default_unset", ADMIN, "Remove a project's default volume type.")


class Wanted(Body):
    volume_type: Name


class DefaultType(View):
    project_id: str
    volume_type_id: str


@api.op("GET", "/v3/default-types", policy=INDEX, first="3.62", reply="default_types")
def index(tx: Tx, request: Request) -> list[DefaultType]:
    """List the projects that have a default of their own."""
    return [_view(row) for row in tx.rows(default_types, order=default_types.c.project_id)]


@api.op("PUT", "/v3/default-types/{tenant}", policy=SET, first="3.62", wrap="default_type", errors=(400, 404))
def put(tx: Tx, request: Request, tenant: str, body: Wanted) -> DefaultType:
    """Set a project's default volume type."""
    kind = find_type(tx, request.context, body.volume_type)
    tx.delete(default_types, project_id=tenant)
    return _view(tx.insert(default_types, project_id=tenant, type_id=kind.id))


@api.op("GET", "/v3/default-types/{tenant}", policy=SHOW, first="3.62", wrap="default_type", errors=(404,))
def show(tx: Tx, request: Request, tenant: str) -> DefaultType:
    """Show a project's default volume type."""
    row = tx.get(default_types, project_id=tenant)
    if row is None:
        raise NotFound(f"Default type for project {tenant} not found.")
    return _view(row)


@api.op("DELETE", "/v3/default-types/{tenant}", policy=UNSET_RULE, first="3.62", status=204)
def delete(tx: Tx, request: Request, tenant: str) -> None:
    """Let a project have the cloud's default volume type again."""
    tx.delete(default_types, project_id=tenant)


def _view(row: Row) -> DefaultType:
    return DefaultType(project_id=row.project_id, volume_type_id=row.type_id)
