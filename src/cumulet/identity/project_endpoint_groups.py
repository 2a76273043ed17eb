"""The endpoint groups that projects are associated with, for the endpoints in them to be in the projects' catalogs."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.errors import Conflict, NotFound
from ..kernel.http import Page, Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, endpoint_groups, endpoints, epoch, projects, tree
from .endpoint_groups import find_group

# -- table ---------------------------------------------------------------------------------------------------------

project_endpoint_groups = table(
    "identity_project_endpoint_groups",
    sa.Column("endpoint_group_id", sa.String(64), sa.ForeignKey("identity_endpoint_groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True, index=True),
    id=False,
)

# -- policy --------------------------------------------------------------------------------------------------------

PROJECTS = api.rule(
    "identity:list_projects_associated_with_endpoint_group",
    ADMIN_OR_SYSTEM_READER,
    "List the projects associated with an endpoint group.",
)
ENDPOINTS = api.rule(
    "identity:list_endpoints_associated_with_endpoint_group", ADMIN_OR_SYSTEM_READER, "List the endpoints in an endpoint group."
)
LIST = api.rule(
    "identity:list_endpoint_groups_for_project", ADMIN_OR_SYSTEM_READER, "List the endpoint groups that a project is associated with."
)
GET = api.rule("identity:get_endpoint_group_in_project", ADMIN_OR_SYSTEM_READER, "Show a project's association with an endpoint group.")
ADD = api.rule("identity:add_endpoint_group_to_project", ADMIN, "Associate a project with an endpoint group.")
REMOVE = api.rule("identity:remove_endpoint_group_from_project", ADMIN, "End a project's association with an endpoint group.")

# -- operations ----------------------------------------------------------------------------------------------------

GROUP = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"
ONE = GROUP + "/projects/{project_id}"


@api.op("PUT", ONE, policy=ADD, status=204, errors=(404, 409))
def create(tx: Tx, request: Request, endpoint_group_id: str, project_id: str) -> None:
    """Associate a project with an endpoint group."""
    pair = _there(tx, endpoint_group_id, project_id)
    if tx.get(project_endpoint_groups, **pair) is not None:
        raise Conflict("Conflict occurred attempting to store project_endpoint_group - Duplicate entry.")
    tx.insert(project_endpoint_groups, **pair)
    epoch.bump(tx, epoch.CATALOG)


@api.op("GET", ONE, policy=GET, reply="project_endpoint_group", errors=(404,))
def show(tx: Tx, request: Request, endpoint_group_id: str, project_id: str) -> dict:
    """Show a project's association with an endpoint group."""
    pair = _there(tx, endpoint_group_id, project_id)
    if tx.get(project_endpoint_groups, **pair) is None:
        raise _missing()
    return pair | {"links": {"self": f"{request.base}/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"}}


@api.op("DELETE", ONE, policy=REMOVE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, endpoint_group_id: str, project_id: str) -> None:
    """End a project's association with an endpoint group."""
    if not tx.delete(project_endpoint_groups, **_there(tx, endpoint_group_id, project_id)):
        raise _missing()
    epoch.bump(tx, epoch.CATALOG)


@api.op("GET", GROUP + "/projects", policy=PROJECTS, reply="projects")
def index_projects(tx: Tx, request: Request, endpoint_group_id: str) -> Page:
    """List the projects that are associated with an endpoint group."""
    table, pairs = tree.projects, project_endpoint_groups
    mine = sa.select(pairs.c.project_id).where(pairs.c.endpoint_group_id == endpoint_group_id)
    rows = tx.all(sa.select(table).where(table.c.id.in_(mine)).order_by(table.c.name, table.c.id))
    return Page(projects.views(tx, request, rows))


@api.op("GET", GROUP + "/endpoints", policy=ENDPOINTS, reply="endpoints", errors=(404,))
def index_endpoints(tx: Tx, request: Request, endpoint_group_id: str) -> Page:
    """List the endpoints that are in an endpoint group."""
    inside = endpoint_groups.matching(find_group(tx, endpoint_group_id).filters)
    rows = tx.all(sa.select(endpoints.endpoints).where(inside).order_by(endpoints.endpoints.c.id))
    return Page([endpoints.view(request, row) for row in rows])


@api.op("GET", "/OS-EP-FILTER/projects/{project_id}/endpoint_groups", policy=LIST, reply="endpoint_groups", errors=(404,))
def index(tx: Tx, request: Request, project_id: str) -> Page:
    """List the endpoint groups that a project is associated with."""
    tree.find_project(tx, project_id)
    return Page([endpoint_groups.view(request, row) for row in of_project(tx, project_id)])


# -- helpers -------------------------------------------------------------------------------------------------------


def of_project(tx: Tx, project_id: str) -> list[Row]:
    """The endpoint groups that a project is associated with, by name."""
    groups, pairs = endpoint_groups.endpoint_groups, project_endpoint_groups
    mine = sa.select(pairs.c.endpoint_group_id).where(pairs.c.project_id == project_id)
    return tx.all(sa.select(groups).where(groups.c.id.in_(mine)).order_by(groups.c.name, groups.c.id))


def _there(tx: Tx, endpoint_group_id: str, project_id: str) -> dict[str, str]:
    """Both ids, of what is there. Raises NotFound where either is not."""
    tree.find_project(tx, project_id)
    find_group(tx, endpoint_group_id)
    return {"endpoint_group_id": endpoint_group_id, "project_id": project_id}


def _missing() -> NotFound:
    return NotFound("Endpoint Group Project Association not found")
