"""Tags of projects: short words to find them by."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, NotFound
from ..kernel.http import Body, Reply, Request
from . import SCOPES, api
from .attributes import refuse_immutable
from .tree import find_project, project_tags, projects, set_tags, tags_of

MOST = 80
Tag = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^,/\x00]*$")]
Tags = t.Annotated[list[Tag], msgspec.Meta(max_length=MOST)]

# -- wire ----------------------------------------------------------------------------------------------------------


class TagsUpdate(Body):
    tags: Tags


# -- policy --------------------------------------------------------------------------------------------------------

IN_DOMAIN = "domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)"
READ = f"(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and {IN_DOMAIN} or project_id:%(target.project.id)s"
WRITE = f"(rule:admin_required) or (role:manager and {IN_DOMAIN}"

LIST = api.rule("identity:list_project_tags", READ, "List a project's tags.", scopes=SCOPES)
GET = api.rule("identity:get_project_tag", READ, "Check whether a project has a tag.", scopes=SCOPES)
UPDATE = api.rule("identity:update_project_tags", WRITE, "Replace a project's tags.", scopes=SCOPES)
CREATE = api.rule("identity:create_project_tag", WRITE, "Add a tag to a project.", scopes=SCOPES)
DELETE_ALL = api.rule("identity:delete_project_tags", WRITE, "Remove all of a project's tags.", scopes=SCOPES)
DELETE = api.rule("identity:delete_project_tag", WRITE, "Remove a tag from a project.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


def target(tx: Tx, request: Request, project_id: str, **_: str) -> dict:
    """A project, for policy; of one that is not there, nothing, so that only those above all learn of it."""
    row = tx.get(projects, id=project_id)
    return {} if row is None else {"target.project.id": row.id, "target.project.domain_id": row.domain_id}


@api.op("GET", "/projects/{project_id}/tags", policy=LIST, target=target, errors=(404,))
def index(tx: Tx, request: Request, project_id: str) -> dict:
    """List a project's tags."""
    return _view(tx, request, find_project(tx, project_id))


@api.op("PUT", "/projects/{project_id}/tags", policy=UPDATE, target=target, errors=(404,))
def replace(tx: Tx, request: Request, project_id: str, body: TagsUpdate) -> dict:
    """Replace a project's tags."""
    row = _changeable(tx, project_id)
    set_tags(tx, project_id, body.tags)
    return _view(tx, request, row)


@api.op("DELETE", "/projects/{project_id}/tags", policy=DELETE_ALL, target=target, status=204, errors=(404,))
def clear(tx: Tx, request: Request, project_id: str) -> None:
    """Remove all of a project's tags."""
    set_tags(tx, _changeable(tx, project_id).id, [])


@api.op("GET", "/projects/{project_id}/tags/{tag}", policy=GET, target=target, status=204, errors=(404,))
def check(tx: Tx, request: Request, project_id: str, tag: str) -> None:
    """Check whether a project has a tag."""
    find_project(tx, project_id)
    if tx.get(project_tags, project_id=project_id, name=tag) is None:
        raise NotFound(f"Could not find project tag: {tag}.")


@api.op("PUT", "/projects/{project_id}/tags/{tag}", policy=CREATE, target=target, status=201, errors=(404,))
def add(tx: Tx, request: Request, project_id: str, tag: str) -> Reply:
    """Add a tag to a project."""
    row = _changeable(tx, project_id)
    try:
        msgspec.convert(tag, Tag)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for field/attribute tag: {error}") from None
    if tx.get(project_tags, project_id=project_id, name=tag) is not None:
        raise BadRequest(f"Invalid input for field/attribute tags: the project has the tag {tag} already")
    if tx.scalar(sa.select(sa.func.count()).where(project_tags.c.project_id == row.id)) >= MOST:
        raise BadRequest(f"Invalid input for field/attribute tags: a project has at most {MOST} tags")
    tx.insert(project_tags, project_id=project_id, name=tag)
    return Reply(None, headers={"Location": request.url})


@api.op("DELETE", "/projects/{project_id}/tags/{tag}", policy=DELETE, target=target, status=204, errors=(404,))
def remove(tx: Tx, request: Request, project_id: str, tag: str) -> None:
    """Remove a tag from a project."""
    _changeable(tx, project_id)
    if not tx.delete(project_tags, project_id=project_id, name=tag):
        raise NotFound(f"Could not find project tag: {tag}.")


# -- helpers -------------------------------------------------------------------------------------------------------


def _changeable(tx: Tx, project_id: str) -> Row:
    row = find_project(tx, project_id)
    refuse_immutable(row.options, None, project_id, "project")
    return row


def _view(tx: Tx, request: Request, row: Row) -> dict:
    return {"tags": tags_of(tx, [row.id])[row.id], "links": {"self": request.url}}
