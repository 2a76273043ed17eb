"""What a caller may have a token for, and the catalog of the token that they have."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Tx
from ..kernel.errors import Forbidden
from ..kernel.http import Page, Reply, Request
from . import SCOPES, api, assignments, domains, users
from . import projects as projects_
from .catalog import catalog_of
from .listing import Within, listed
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
    return _projects(tx, request, str(request.context.user_id), _groups(request), enabled=True)


@api.op("GET", "/users/{user_id}/projects", policy=OF_USER, target=users.target, reply="projects", errors=(404,))
def index_user_projects(tx: Tx, request: Request, user_id: str) -> Page:
    """List the projects on which a user has a role."""
    users.find_user(tx, user_id)
    return _projects(tx, request, user_id)


@api.op("GET", "/OS-FEDERATION/domains", policy=DOMAINS, reply="domains")
@api.op("GET", "/auth/domains", policy=DOMAINS, reply="domains")
def index_domains(tx: Tx, request: Request) -> Page:
    """List the enabled domains on which the caller has a role."""
    own = tx.among(projects.c.id, assignments.domain_ids_of(tx, str(request.context.user_id), _groups(request)))
    rows = sorted((row for row in own if row.enabled), key=lambda row: row.name)
    tags = tags_of(tx, [row.id for row in rows])
    return Page([domains.view(request, row, tags[row.id]) for row in rows])


@api.op("GET", "/auth/system", policy=SYSTEM)
def show_system(tx: Tx, request: Request) -> dict:
    """Say whether the caller has a role on the system."""
    held = assignments.on_system(tx, str(request.context.user_id), _groups(request))
    return {"system": [{"all": True}] if held else [], "links": {"self": request.url}}


# -- helpers -------------------------------------------------------------------------------------------------------


def _groups(request: Request) -> list[str]:
    """The groups that the caller is in by what their token says."""
    return request.context.extra.get("group_ids", [])


_ON_PROJECTS = projects.c.id.in_(assignments.ON_PROJECTS)


def _projects(tx: Tx, request: Request, user_id: str, also: t.Collection[str] = (), **values: t.Any) -> Page:
    own = Within(_ON_PROJECTS, assignments.caller(user_id, also))
    page = listed(tx, request, projects, lambda row: row, ("name", "enabled", "domain_id"), within=own, **values)
    return page._replace(items=projects_.views(tx, request, page.items))
