"""Projects: what owns resources."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict, Forbidden
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import SCOPES, api, assignments, epoch, limit_models
from .attributes import Id, ShortName, Text, given, refuse_immutable, same_id, taken
from .entities import once, shown
from .listing import asked, flag, listed, of_own_domain
from .project_tags import READ, WRITE, Tags, target
from .tree import (
    DEFAULT_DOMAIN,
    ancestors,
    change,
    descendants,
    find_project,
    project_tags,
    projects,
    set_tags,
    tags_of,
)
from .users import users

# -- wire ----------------------------------------------------------------------------------------------------------


class ProjectCreate(OpenBody):
    name: ShortName
    domain_id: Id | None = None
    parent_id: Id | None = None
    description: Text | None = None
    enabled: bool = True
    is_domain: bool = False
    tags: Tags = msgspec.field(default_factory=list)
    options: dict[str, bool | None] = msgspec.field(default_factory=dict)


class ProjectUpdate(OpenBody):
    name: ShortName | UnsetType = UNSET
    domain_id: Id | None | UnsetType = UNSET
    parent_id: Id | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: dict[str, bool | None] | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_project", READ, "Show a project.", scopes=SCOPES)
LIST = api.rule(
    "identity:list_projects",
    "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
    "List projects.",
    scopes=SCOPES,
)
CREATE = api.rule("identity:create_project", WRITE, "Create a project.", scopes=SCOPES)
UPDATE = api.rule("identity:update_project", WRITE, "Update a project.", scopes=SCOPES)
DELETE = api.rule("identity:delete_project", WRITE, "Delete a project.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


def _own_domain(tx: Tx, request: Request) -> dict:
    """What a caller may do somewhere they may do in the domain of their token; the handler checks where it is."""
    domain = request.context.domain_id
    return {"target.project.domain_id": domain, "target.domain_id": domain}


@api.op("POST", "/projects", policy=CREATE, target=_own_domain, wrap="project", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a project, in the token's domain (or the default one) where it names none."""
    fields, extra = taken(body, ProjectCreate, "project")
    request.enforce(CREATE, {"target.project.domain_id": fields.domain_id})
    domain_id, parent_id = _place(tx, request, fields)
    id = ids.new_hex()
    _check_name(tx, fields.name, domain_id, id)
    row = tx.insert(
        projects, id=id, name=fields.name, domain_id=domain_id, parent_id=parent_id,
        description=fields.description or "", enabled=fields.enabled, is_domain=fields.is_domain,
        options=fields.options, extra=extra,
    )  # fmt: skip
    set_tags(tx, row.id, fields.tags)
    return view(request, row, sorted(fields.tags))


@api.op("GET", "/projects", policy=LIST, target=_own_domain, reply="projects")
def index(tx: Tx, request: Request) -> Page:
    """List projects; with a token for a domain, that domain's alone."""
    filters = ("domain_id", "enabled", "name", "parent_id", "is_domain")
    values = of_own_domain(request)
    if not any(key == "is_domain" for key, _ in request.query):
        values["is_domain"] = False
    page = listed(tx, request, projects, lambda row: row, filters, *_with_tags(request), **values)
    return page._replace(items=views(tx, request, page.items))


@api.op("GET", "/projects/{project_id}", policy=GET, target=target, reply="project", errors=(404,))
def show(tx: Tx, request: Request, project_id: str) -> dict:
    """Show a project, with those above or below it where the query asks for them."""
    row = find_project(tx, project_id)
    body = view(request, row, tags_of(tx, [row.id])[row.id])
    for name in ("parents", "subtree"):
        if flag(request, f"{name}_as_list") and flag(request, f"{name}_as_ids"):
            raise BadRequest(f"Cannot use {name}_as_list and {name}_as_ids query params at the same time.")
    if flag(request, "parents_as_list"):
        body["parents"] = _accessible(tx, request, ancestors(tx, row))
    elif flag(request, "parents_as_ids"):
        body["parents"] = _nested_parents(ancestors(tx, row))
    if flag(request, "subtree_as_list"):
        body["subtree"] = _accessible(tx, request, descendants(tx, row.id))
    elif flag(request, "subtree_as_ids"):
        body["subtree"] = _nested_subtree(row.id, descendants(tx, row.id))
    return body


@api.op("PATCH", "/projects/{project_id}", policy=UPDATE, target=target, wrap="project", errors=(404, 409))
def update(tx: Tx, request: Request, project_id: str, body: dict[str, t.Any]) -> dict:
    """Change a project. Disabling it makes the tokens for it worthless."""
    row = find_project(tx, project_id)
    same_id(body, project_id)
    fields, extra = taken(body, ProjectUpdate, "project")
    refuse_immutable(row.options, fields.options, project_id, "project")
    _refuse_move(row, fields)
    values = given(fields, "tags", "domain_id", "parent_id", "is_domain")
    if "enabled" in values and not row.is_domain:
        _check_enabled(tx, row, values["enabled"])
    change(tx, row, values, extra, fields.tags)
    row = find_project(tx, project_id)
    return view(request, row, tags_of(tx, [row.id])[row.id]) | {"extra": row.extra}


@api.op("DELETE", "/projects/{project_id}", policy=DELETE, target=target, status=204, errors=(404,))
def delete(tx: Tx, request: Request, project_id: str) -> None:
    """Delete a project that has none below it, with its assignments and the credentials for it."""
    row = find_project(tx, project_id)
    refuse_immutable(row.options, None, project_id, "project", "delete")
    if row.is_domain and row.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    if tx.scalar(sa.select(projects.c.id).where(projects.c.parent_id == row.id).limit(1)):
        raise Forbidden(
            f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy. Use the cascade option if "
            "you want to delete a whole subtree."
        )
    tx.delete(projects, id=row.id)
    tx.update(users, {"default_project_id": row.id}, default_project_id=None)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def views(tx: Tx, request: Request, rows: t.Sequence[Row]) -> list[dict]:
    tags = tags_of(tx, [row.id for row in rows])
    return [view(request, row, tags[row.id]) for row in rows]


def view(request: Request, row: Row, tags: list[str]) -> dict:
    columns = ("name", "domain_id", "parent_id", "description", "enabled", "is_domain", "options")
    return shown(request, "projects", row, *columns, tags=tags)


def _check_name(tx: Tx, name: str, domain_id: str | None, id: str) -> None:
    if domain_id is not None and tx.rows(projects, name=name, domain_id=domain_id):
        raise Conflict(
            "Conflict occurred attempting to store project - it is not permitted to have two projects with either the same name or "
            f"same id in the same domain: name is {name}, project id {id}."
        )
    once(tx, projects, name, domain_id)


def _place(tx: Tx, request: Request, fields: ProjectCreate) -> tuple[str | None, str | None]:
    """The domain and the parent of a new project; of a new domain, neither."""
    if fields.is_domain:
        if fields.parent_id is not None or fields.domain_id is not None:
            raise BadRequest("only root projects are allowed to act as domains.")
        return None, None
    parent = tx.get(projects, id=fields.parent_id) if fields.parent_id else None
    if fields.parent_id and parent is None:
        raise BadRequest(f"Could not find project: {fields.parent_id}.")
    above: str | None = None if parent is None else parent.id if parent.is_domain else parent.domain_id
    domain_id = fields.domain_id or above or request.context.domain_id or DEFAULT_DOMAIN
    domain = tx.get(projects, id=domain_id)
    if domain is None or not domain.is_domain:
        raise BadRequest(f"Could not find domain: {domain_id}.")
    if parent is None:
        parent = domain
    _check_parent(tx, parent, domain_id, limit_models.deepest(request.runtime.config.limit_model))
    return domain_id, parent.id


def _check_parent(tx: Tx, parent: Row, domain_id: str, deepest: int) -> None:
    if parent.is_domain and parent.id != domain_id:
        raise BadRequest(
            f"Cannot create project, the parent ({parent.id}) is acting as a domain, but this project's domain id "
            f"({domain_id}) does not match the parent's id."
        )
    if not parent.is_domain and parent.domain_id != domain_id:
        raise BadRequest(
            f"Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent in a different "
            f"domain ({parent.domain_id})."
        )
    above = [parent, *ancestors(tx, parent)]
    disabled = next((row for row in above if not row.enabled), None)
    if disabled is not None:
        raise BadRequest(f"cannot create a project in a branch containing a disabled project: {disabled.id}")
    if len(above) > deepest:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")


def _refuse_move(row: Row, fields: ProjectUpdate) -> None:
    if fields.domain_id is not UNSET and fields.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    if fields.is_domain is not UNSET and fields.is_domain != row.is_domain:
        raise BadRequest("Update of `is_domain` is not allowed.")
    if fields.parent_id is not UNSET and fields.parent_id != row.parent_id:
        raise Forbidden("Update of `parent_id` is not allowed.")


def _check_enabled(tx: Tx, row: Row, enabled: bool) -> None:
    if enabled and any(not above.enabled for above in ancestors(tx, row)):
        raise Forbidden(f"Cannot enable project {row.id} since it has disabled parents")
    if not enabled and any(below.enabled for below in descendants(tx, row.id)):
        raise Forbidden(f"Cannot disable project {row.id} since its subtree contains enabled projects.")


def _with_tags(request: Request) -> list[sa.ColumnElement[bool]]:
    """The four tag filters: all of these, any of these, not all of these, none of these."""

    def tagged(tag: str) -> sa.ColumnElement[bool]:
        return projects.c.id.in_(sa.select(project_tags.c.project_id).where(project_tags.c.name == tag))

    where = []
    for name, build in (("tags", sa.and_), ("tags-any", sa.or_), ("not-tags", sa.and_), ("not-tags-any", sa.or_)):
        if wanted := asked(request, name):
            clause = build(*(tagged(tag) for tag in wanted.split(",")))
            where.append(sa.not_(clause) if name.startswith("not") else clause)
    return where


def _accessible(tx: Tx, request: Request, rows: list[Row]) -> list[dict]:
    """Those of the projects that the caller has a role on."""
    own = assignments.project_ids_of(tx, str(request.context.user_id))
    return [{"project": one} for one in views(tx, request, [row for row in rows if row.id in own])]


def _nested_parents(above: list[Row]) -> dict | None:
    nested = None
    for row in reversed(above):
        nested = {row.id: nested}
    return nested


def _nested_subtree(id: str, below: list[Row]) -> dict | None:
    inner = {row.id: _nested_subtree(row.id, below) for row in below if row.parent_id == id}
    return inner or None
