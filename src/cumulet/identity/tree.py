"""The tree of projects: a domain is a project that is nobody's child, and every other project is below one.

The tables are here because domains, projects, users and roles all stand on them.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import MANY, Row, Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http.wire import UNSET, UnsetType
from . import epoch
from .entities import find, missing, name_once, once

DEFAULT_DOMAIN = "default"
DEEPEST = 5
"""Projects from the domain (which is not counted) down to the lowest."""

projects = table(
    "identity_projects",
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True),
    sa.Column("parent_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), index=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("is_domain", sa.Boolean, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Index("ix_identity_projects_name", "name"),
    once=name_once("project"),
)

project_tags = table(
    "identity_project_tags",
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    id=False,
)


def find_project(tx: Tx, id: str) -> Row:
    return find(tx, projects, id, "project")


def find_domain(tx: Tx, id: str) -> Row:
    row = tx.get(projects, id=id)
    if row is None or not row.is_domain:
        raise missing("domain", id)
    return row


def domain_named(tx: Tx, name: str) -> Row | None:
    return tx.first(sa.select(projects).where(projects.c.name == name, projects.c.is_domain))


PROJECT: sa.BindParameter[str] = sa.bindparam("project_id", type_=sa.String)
"""What statements that are made once have for a project's id."""


def ancestors(tx: Tx, project: Row) -> list[Row]:
    """The projects above one, the nearest first, the domain last."""
    return tx.all(_ANCESTORS, {"project_id": project.id})


def descendants(tx: Tx, id: str) -> list[Row]:
    """The projects below one, each after its parent."""
    return tx.all(_DESCENDANTS, {"project_id": id})


def ids_below(tx: Tx, ids: t.Collection[str]) -> dict[str, list[str]]:
    """The ids of the projects below each of these, each after its parent."""
    found: dict[str, list[str]] = {id: [] for id in ids}
    for row in tx.many(_IDS_BELOW, found):
        found[row.top].append(row.id)
    return found


def above(project: sa.BindParameter[str]) -> sa.CTE:
    """`id` of every project above one, and how many levels above (`depth`)."""
    first = sa.select(projects.c.parent_id.label("id"), sa.literal_column("1").label("depth"))
    found = first.where(projects.c.id == project, projects.c.parent_id.is_not(None)).cte("above", recursive=True)
    further = sa.select(projects.c.parent_id, found.c.depth + 1).join(found, projects.c.id == found.c.id)
    return found.union_all(further.where(projects.c.parent_id.is_not(None)))


def below(tops: t.Any) -> sa.CTE:
    """`id` of every project below these (`top`), and how many levels below (`depth`)."""
    first = sa.select(projects.c.parent_id.label("top"), projects.c.id, sa.literal_column("1").label("depth"))
    found = first.where(projects.c.parent_id.in_(tops)).cte("below", recursive=True)
    return found.union_all(sa.select(found.c.top, projects.c.id, found.c.depth + 1).where(projects.c.parent_id == found.c.id))


_above, _below, _below_many = above(PROJECT), below([PROJECT]), below(MANY)
_ANCESTORS = sa.select(projects).join(_above, _above.c.id == projects.c.id).order_by(_above.c.depth)
_DESCENDANTS = sa.select(projects).join(_below, _below.c.id == projects.c.id).order_by(_below.c.depth, projects.c.name)
_IDS_BELOW = sa.select(_below_many.c.top, _below_many.c.id).order_by(_below_many.c.depth, _below_many.c.id)


def tags_of(tx: Tx, ids: list[str]) -> dict[str, list[str]]:
    """The tags of some projects, sorted."""
    found: dict[str, list[str]] = {id: [] for id in ids}
    for row in tx.among(project_tags.c.project_id, ids):
        found[row.project_id].append(row.name)
    for tags in found.values():
        tags.sort()
    return found


def change(tx: Tx, row: Row, values: dict[str, t.Any], extra: dict, tags: list[str] | UnsetType) -> None:
    """Change a project or a domain. Raises Conflict where its new name is taken."""
    if "name" in values:
        once(tx, projects, values["name"], row.domain_id, but=row.id)
    if "description" in values:
        values["description"] = values["description"] or ""
    if "options" in values:
        values["options"] = {name: value for name, value in (row.options | values["options"]).items() if value is not None}
    tx.update(projects, row.id, **values, extra=row.extra | extra)
    if tags is not UNSET:
        set_tags(tx, row.id, tags)
    epoch.bump(tx)


def set_tags(tx: Tx, id: str, tags: list[str]) -> None:
    """Raises BadRequest where a tag occurs twice."""
    if len(set(tags)) < len(tags):
        raise BadRequest(f"Invalid input for field/attribute tags. Value: {tags}. {tags} has non-unique elements")
    tx.delete(project_tags, project_id=id)
    tx.insert_many(project_tags, [{"project_id": id, "name": name} for name in tags])
