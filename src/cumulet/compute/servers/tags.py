"""A server's tags."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, NotFound, Reply, Request
from .. import PROJECT_MEMBER, PROJECT_READER, api
from .create import Tag
from .find import ANY_TASK, find, permit, target
from .metadata import CHANGEABLE
from .tables import servers

MOST = 50

# -- wire ----------------------------------------------------------------------------------------------------------


class Tags(Body):
    tags: t.Annotated[list[Tag], msgspec.Meta(max_length=MOST)]


# -- policy --------------------------------------------------------------------------------------------------------


def _rule(name: str, check: str, description: str) -> str:
    return api.rule(f"os_compute_api:os-server-tags:{name}", check, description)


INDEX = _rule("index", PROJECT_READER, "List a server's tags.")
SHOW = _rule("show", PROJECT_READER, "Look whether a server has a tag.")
UPDATE_ALL = _rule("update_all", PROJECT_MEMBER, "Replace a server's tags.")
UPDATE = _rule("update", PROJECT_MEMBER, "Add a tag to a server.")
DELETE_ALL = _rule("delete_all", PROJECT_MEMBER, "Remove all tags of a server.")
DELETE = _rule("delete", PROJECT_MEMBER, "Remove a tag of a server.")

# -- operations ----------------------------------------------------------------------------------------------------

PATH, FIRST = "/servers/{id}/tags", "2.26"


@api.op("GET", PATH, policy=INDEX, target=target, reply="tags", first=FIRST, errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[str]:
    """List a server's tags."""
    return find(tx, request, id).tags


@api.op("PUT", PATH, policy=UPDATE_ALL, target=target, reply="tags", first=FIRST, errors=(400, 404, 409))
def replace(tx: Tx, request: Request, id: str, body: Tags) -> list[str]:
    """Replace a server's tags."""
    return _put(tx, request, find(tx, request, id), body.tags, "update tags")


@api.op("DELETE", PATH, policy=DELETE_ALL, target=target, status=204, first=FIRST, errors=(404, 409))
def clear(tx: Tx, request: Request, id: str) -> None:
    """Remove all tags of a server."""
    _put(tx, request, find(tx, request, id), [], "delete tags")


@api.op("GET", PATH + "/{tag}", policy=SHOW, target=target, status=204, first=FIRST, errors=(404,))
def show(tx: Tx, request: Request, id: str, tag: str) -> None:
    """Look whether a server has a tag."""
    if tag not in find(tx, request, id).tags:
        raise NotFound(f"Server {id} has no tag '{tag}'")


@api.op("PUT", PATH + "/{tag}", policy=UPDATE, target=target, status=201, first=FIRST, errors=(204, 400, 404, 409))
def add(tx: Tx, request: Request, id: str, tag: str) -> Reply:
    """Add a tag to a server."""
    row = find(tx, request, id)
    try:
        msgspec.convert(tag, Tag)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','. {error}") from None
    headers = {"Location": f"{request.base}/v2.1/servers/{id}/tags/{quote(tag, safe='')}"}
    if tag in row.tags:
        permit(request, row, "update tag", vm=CHANGEABLE, tasks=ANY_TASK)
        return Reply(None, 204, headers)
    if len(row.tags) >= MOST:
        raise BadRequest(f"The number of tags exceeded the per-server limit {MOST}")
    _put(tx, request, row, [*row.tags, tag], "update tag")
    return Reply(None, 201, headers)


@api.op("DELETE", PATH + "/{tag}", policy=DELETE, target=target, status=204, first=FIRST, errors=(404, 409))
def delete(tx: Tx, request: Request, id: str, tag: str) -> None:
    """Remove a tag of a server."""
    row = find(tx, request, id)
    if tag not in row.tags:
        raise NotFound(f"Instance {id} has no tag '{tag}'")
    _put(tx, request, row, [one for one in row.tags if one != tag], "delete tag")


# -- helpers -------------------------------------------------------------------------------------------------------


def _put(tx: Tx, request: Request, row: Row, tags: list[str], action: str) -> list[str]:
    permit(request, row, action, vm=CHANGEABLE, tasks=ANY_TASK)
    tags = sorted(set(tags))
    tx.update(servers, row.id, tags=tags)
    return tags
