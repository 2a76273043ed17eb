"""Tags: words that clients put on resources and filter lists by; the same operations for every kind of resource."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Reply, Request, View
from .resource import change, tags_of, target
from .service import MEMBER, READER, api
from .tables import tags

MOST = 50
Tag = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Kind(t.NamedTuple):
    """A kind of resource. find: the row that the caller may see, or NotFound."""

    table: sa.Table
    find: t.Callable[[Tx, Request, str], Row]


KINDS: dict[str, Kind] = {}
"""By their names in paths: `networks`, `security-groups`."""


def taggable(kind: str, table: sa.Table, find: t.Callable[[Tx, Request, str], Row]) -> None:
    """Declare `/{kind}/{id}/tags` and what is below it, with its policy rules."""
    KINDS[kind] = Kind(table, find)
    for verb, check in (("get", READER), ("create", MEMBER), ("update", MEMBER), ("delete", MEMBER)):
        api.rule(_rule(verb, kind), check, f"{verb.capitalize()} tags of {kind}.")


def _rule(verb: str, kind: str) -> str:
    return f"{verb}_{kind.replace('-', '_')}_tags"


# -- wire ----------------------------------------------------------------------------------------------------------


class Tags(Body):
    tags: t.Annotated[list[Tag], msgspec.Meta(max_length=MOST)]


class TagsView(View, kw_only=True):
    tags: list[str]


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/{kind}/{id}/tags"
ANY = "regular_user"  # the rule of the kind is asked once the resource is found


@api.op("GET", PATH, policy=ANY, errors=(404,))
def index(tx: Tx, request: Request, kind: str, id: str) -> TagsView:
    """List a resource's tags."""
    return TagsView(tags=_tagged(tx, request, kind, id, "get").tags)


@api.op("GET", PATH + "/{tag}", policy=ANY, status=204, errors=(404,))
def show(tx: Tx, request: Request, kind: str, id: str, tag: str) -> None:
    """Tell whether a resource has a tag."""
    _present(tag, _tagged(tx, request, kind, id, "get").tags)


@api.op("PUT", PATH, policy=ANY, errors=(404, 412))
def replace(tx: Tx, request: Request, kind: str, id: str, body: Tags) -> TagsView:
    """Replace a resource's tags."""
    found = _tagged(tx, request, kind, id, "update")
    return _write(tx, request, found, set(body.tags))


@api.op("POST", PATH, policy=ANY, status=201, errors=(404, 412))
def extend(tx: Tx, request: Request, kind: str, id: str, body: Tags) -> TagsView:
    """Put more tags on a resource."""
    found = _tagged(tx, request, kind, id, "create")
    return _write(tx, request, found, {*found.tags, *body.tags})


@api.op("PUT", PATH + "/{tag}", policy=ANY, status=201, errors=(404, 412))
def add(tx: Tx, request: Request, kind: str, id: str, tag: str) -> Reply:
    """Put a tag on a resource."""
    found = _tagged(tx, request, kind, id, "update")
    if len(tag) > 255:
        raise BadRequest(f"Invalid input for tag. Reason: '{tag[:40]}...' is longer than 255 characters.")
    _write(tx, request, found, {*found.tags, tag})
    return Reply()


@api.op("DELETE", PATH, policy=ANY, status=204, errors=(404, 412))
def clear(tx: Tx, request: Request, kind: str, id: str) -> None:
    """Take all tags from a resource."""
    _write(tx, request, _tagged(tx, request, kind, id, "delete"), set())


@api.op("DELETE", PATH + "/{tag}", policy=ANY, status=204, errors=(404, 412))
def discard(tx: Tx, request: Request, kind: str, id: str, tag: str) -> None:
    """Take a tag from a resource."""
    found = _tagged(tx, request, kind, id, "delete")
    _present(tag, found.tags)
    _write(tx, request, found, set(found.tags) - {tag})


# -- helpers -------------------------------------------------------------------------------------------------------


class Tagged(t.NamedTuple):
    table: sa.Table
    row: Row
    tags: list[str]


def _tagged(tx: Tx, request: Request, kind: str, id: str, verb: str) -> Tagged:
    if kind not in KINDS:
        raise NotFound("The resource could not be found.")
    row = KINDS[kind].find(tx, request, id)
    if verb != "get":
        request.enforce(_rule(verb, kind), target(row))
    return Tagged(KINDS[kind].table, row, tags_of(tx, [row])[row.id])


def _present(tag: str, present: list[str]) -> None:
    if tag not in present:
        raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")


def _write(tx: Tx, request: Request, found: Tagged, after: set[str]) -> TagsView:
    if len(after) > MOST:
        raise BadRequest(f"Invalid input for tags. Reason: a resource has at most {MOST} tags, not {len(after)}.")
    before = set(found.tags)
    for tag in before - after:
        tx.delete(tags, resource_id=found.row.id, tag=tag)
    tx.insert_many(tags, [{"resource_id": found.row.id, "tag": tag} for tag in after - before])
    if before != after:
        change(tx, request, found.table, found.row)
    return TagsView(tags=sorted(after))
