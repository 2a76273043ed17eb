"""What a caller may have a token for, and the catalog of the token that they have."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.errors import Forbidden
from ..kernel.http import Page, Reply, Request
from . import SCOPES, api, assignments, domains, users
from . import projects as projects_
from .catalog import catalog_of
from .listing import listed
from .state import state
from .tree import projects, tags_of

# -- policy --------------------------------------------------------------------------------------------------------

CATALOG = api.rule("identity:get_auth_catalog", "", "Show the catalog of one's token.", scopes=SCOPES)
PROJECTS = api.rule("identity:get_auth_projects", "", "List the projects that one may have a token for.", scopes=SCOPES)
DOMAINS = api.rule("identity:get_auth_domains", "", "List the domains that one may have a token for.", scopes=SCOPES)
SYSTEM = api.rule("identity:get_auth_system", "", "Say whether one may have a token for the system.", scopes=SCOPES)
OF_USER = api.rule(
    "identity:list_user_projects",
    "(rule:admin_required) or (role:reader and system_scope:all) or "
    "(role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s",
    "List the projects on which a user has a role.",
    scopes=SCOPES,
)

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/auth/catalog", policy=CATALOG)
def show_catalog(tx: Tx, request: Request) -> Reply[dict]:
    """Show the catalog of a token for a project."""
    if request.context.project_id is None:
        raise Forbidden("You are not authorized to perform the requested action.")
    catalog = catalog_of(tx, state(request.runtime), request.context.project_id, request.context.user_id)
    return Reply(msgspec.Raw(msgspec.json.encode({"catalog": catalog, "links": {"self": request.url}})))


@api.op("GET", "/OS-FEDERATION/projects", policy=PROJECTS, reply="projects")
@api.op("GET", "/auth/projects", policy=PROJECTS, reply="projects")
def index_projects(tx: Tx, request: Request) -> Page:
    """List the enabled projects on which the caller has a role."""
    return _projects(tx, request, str(request.context.user_id), projects.c.enabled, also=_groups(request))


@api.op("GET", "/users/{user_id}/projects", policy=OF_USER, target=users.target, reply="projects", errors=(404,))
def index_user_projects(tx: Tx, request: Request, user_id: str) -> Page:
    """List the projects on which a user has a role."""
    users.find_user(tx, user_id)
    return _projects(tx, request, user_id)


@api.op("GET", "/OS-FEDERATION/domains", policy=DOMAINS, reply="domains")
@api.op("GET", "/auth/domains", policy=DOMAINS, reply="domains")
def index_domains(tx: Tx, request: Request) -> Page:
    """List the enabled domains on which the caller has a role."""
    own = assignments.domain_ids_of(tx, str(request.context.user_id), _groups(request))
    rows = tx.all(sa.select(projects).where(projects.c.id.in_(own), projects.c.enabled).order_by(projects.c.name))
    tags = tags_of(tx, list(own))
    return Page([domains.view(request, row, tags[row.id]) for row in rows])


@api.op("GET", "/auth/system", policy=SYSTEM)
def show_system(tx: Tx, request: Request) -> dict:
    """Say whether the caller has a role on the system."""
    on = assignments.assignments.c.kind == "system"
    held = assignments.of_user(tx, str(request.context.user_id), on, also=_groups(request))
    return {"system": [{"all": True}] if held else [], "links": {"self": request.url}}


# -- helpers -------------------------------------------------------------------------------------------------------


def _groups(request: Request) -> list[str]:
    """The groups that the caller is in by what their token says."""
    return request.context.extra.get("group_ids", [])


def _projects(tx: Tx, request: Request, user_id: str, *where: sa.ColumnElement[bool], also: t.Collection[str] = ()) -> Page:
    own = projects.c.id.in_(assignments.project_ids_of(tx, user_id, also))
    page = listed(tx, request, projects, lambda row: row, ("name", "enabled", "domain_id"), own, *where)
    return page._replace(items=projects_.views(tx, request, page.items))
