"""The endpoints that projects are associated with: a project that has any sees these in its catalog, and no others."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.errors import Conflict, NotFound
from ..kernel.http import Page, Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, endpoints, epoch, project_endpoint_groups, projects, tree
from .endpoint_groups import matching

# -- table ---------------------------------------------------------------------------------------------------------

project_endpoints = table(
    "identity_project_endpoints",
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("endpoint_id", sa.String(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE"), primary_key=True, index=True),
    id=False,
)

# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("identity:list_endpoints_for_project", ADMIN_OR_SYSTEM_READER, "List the endpoints that a project is associated with.")
PROJECTS = api.rule("identity:list_projects_for_endpoint", ADMIN_OR_SYSTEM_READER, "List the projects associated with an endpoint.")
CHECK = api.rule("identity:check_endpoint_in_project", ADMIN_OR_SYSTEM_READER, "Check a project's association with an endpoint.")
ADD = api.rule("identity:add_endpoint_to_project", ADMIN, "Associate a project with an endpoint.")
REMOVE = api.rule("identity:remove_endpoint_from_project", ADMIN, "End a project's association with an endpoint.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-EP-FILTER/projects/{project_id}/endpoints"
ONE = ALL + "/{endpoint_id}"


@api.op("PUT", ONE, policy=ADD, status=204, errors=(404, 409))
def create(tx: Tx, request: Request, project_id: str, endpoint_id: str) -> None:
    """Associate a project with an endpoint."""
    _check_there(tx, project_id, endpoint_id)
    pair = {"project_id": project_id, "endpoint_id": endpoint_id}
    if tx.get(project_endpoints, **pair) is not None:
        raise Conflict("Conflict occurred attempting to store project_endpoint - Duplicate entry.")
    tx.insert(project_endpoints, **pair)
    epoch.bump(tx, epoch.CATALOG)


@api.op("GET", ONE, policy=CHECK, status=204, errors=(404,))
def check(tx: Tx, request: Request, project_id: str, endpoint_id: str) -> None:
    """Check whether a project is associated with an endpoint, directly."""
    _check_there(tx, project_id, endpoint_id)
    if tx.get(project_endpoints, project_id=project_id, endpoint_id=endpoint_id) is None:
        raise _missing(project_id, endpoint_id)


@api.op("DELETE", ONE, policy=REMOVE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, project_id: str, endpoint_id: str) -> None:
    """End a project's association with an endpoint."""
    if not tx.delete(project_endpoints, project_id=project_id, endpoint_id=endpoint_id):
        raise _missing(project_id, endpoint_id)
    epoch.bump(tx, epoch.CATALOG)


@api.op("GET", ALL, policy=LIST, reply="endpoints", errors=(404,))
def index(tx: Tx, request: Request, project_id: str) -> Page:
    """List the endpoints that a project is associated with, directly or by endpoint groups."""
    tree.find_project(tx, project_id)
    return Page([endpoints.view(request, row) for row in of_project(tx, project_id)])


@api.op("GET", "/OS-EP-FILTER/endpoints/{endpoint_id}/projects", policy=PROJECTS, reply="projects", errors=(404,))
def index_projects(tx: Tx, request: Request, endpoint_id: str) -> Page:
    """List the projects that are associated with an endpoint, directly."""
    endpoints.find_endpoint(tx, endpoint_id)
    table = tree.projects
    mine = sa.select(project_endpoints.c.project_id).where(project_endpoints.c.endpoint_id == endpoint_id)
    rows = tx.all(sa.select(table).where(table.c.id.in_(mine)).order_by(table.c.name, table.c.id))
    return Page(projects.views(tx, request, rows))


# -- helpers -------------------------------------------------------------------------------------------------------


def of_project(tx: Tx, project_id: str) -> list[Row]:
    """The endpoints that a project is associated with, directly or by endpoint groups."""
    table = endpoints.endpoints
    direct = sa.select(project_endpoints.c.endpoint_id).where(project_endpoints.c.project_id == project_id)
    grouped = [matching(group.filters) for group in project_endpoint_groups.of_project(tx, project_id)]
    return tx.all(sa.select(table).where(sa.or_(table.c.id.in_(direct), *grouped)).order_by(table.c.id))


def _check_there(tx: Tx, project_id: str, endpoint_id: str) -> None:
    endpoints.find_endpoint(tx, endpoint_id)
    tree.find_project(tx, project_id)


def _missing(project_id: str, endpoint_id: str) -> NotFound:
    return NotFound(f"Endpoint {endpoint_id} not found in project {project_id}")
