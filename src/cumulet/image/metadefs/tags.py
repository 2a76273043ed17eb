"""Tags: words that resources may be given. Capitals make no difference between them."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import Forbidden, NotFound, Query, Request, View, paged
from .. import api
from ..paging import amount
from ..shapes import check
from . import policy
from .answers import moments
from .bodies import TagBody, TagsBody
from .listing import check_listing
from .schemas import TAG
from .tables import TAG_TAKEN, add, content, rename, tags

TRUE = {"1", "t", "true", "on", "y", "yes"}
MOST = 100_000
"""Tags of one answer: a list is whole where nobody asks for less, as upstream's is."""

# -- wire ----------------------------------------------------------------------------------------------------------


class TagsQuery(Query):
    """`marker` is a tag's name."""

    limit: str | None = None
    marker: str | None = None
    sort_key: str = "created_at"
    sort_dir: str | None = None
    visibility: str | None = None


class TagView(View):
    name: str
    created_at: str
    updated_at: str


class TagName(View):
    name: str


class Tags(View):
    tags: list[TagName]


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/metadefs/namespaces/{namespace}/tags"


@api.op("POST", PATH + "/{name}", policy=policy.ADD_TAG, target=policy.target, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, namespace: str, name: str) -> TagView:
    """Add a tag to a namespace."""
    owner = policy.visible(tx, request, namespace)
    check({"name": name}, TAG)
    add(tx, tags, owner, TAG_TAKEN, [kept(name)])
    return _view(_find(tx, owner, name))


@api.op("POST", PATH, policy=policy.ADD_TAGS, target=policy.target, status=201, errors=(403, 404, 409))
def put(tx: Tx, request: Request, namespace: str, body: TagsBody) -> Tags:
    """Put tags in the place of a namespace's, or, with the header `X-Openstack-Append: true`, add them. None are no change."""
    owner = policy.visible(tx, request, namespace)
    if body.tags and request.headers.get("x-openstack-append", "").strip().lower() not in TRUE:
        tx.delete(tags, namespace_id=owner.id)
    add(tx, tags, owner, TAG_TAKEN, [kept(tag.name) for tag in body.tags])
    return Tags(tags=[TagName(name=tag.name) for tag in body.tags])


@api.op("GET", PATH, policy=policy.GET_TAGS, target=policy.target, errors=(403, 404))
def index(tx: Tx, request: Request, namespace: str, query: TagsQuery) -> Tags:
    """List a namespace's tags."""
    check_listing(query.sort_dir, query.visibility, ("public", "private", "shared"))
    owner = policy.visible(tx, request, namespace)
    rows, _ = paged(
        tx, sa.select(tags).where(tags.c.namespace_id == owner.id), tags, order=_order(query), most=MOST,
        limit=amount(query.limit) if query.limit else None, marker=_find(tx, owner, query.marker).id if query.marker else None,
    )  # fmt: skip
    return Tags(tags=[TagName(name=row.name) for row in rows])


@api.op("GET", PATH + "/{name}", policy=policy.GET_TAG, target=policy.target, errors=(403, 404))
def show(tx: Tx, request: Request, namespace: str, name: str) -> TagView:
    """Show a tag."""
    return _view(_find(tx, policy.visible(tx, request, namespace), name))


@api.op("PUT", PATH + "/{name}", policy=policy.MODIFY_TAG, target=policy.target, errors=(403, 404, 409))
def update(tx: Tx, request: Request, namespace: str, name: str, body: TagBody) -> TagView:
    """Rename a tag."""
    owner = policy.visible(tx, request, namespace)
    return _view(rename(tx, tags, owner, _find(tx, owner, name), TAG_TAKEN, **kept(body.name)))


@api.op("DELETE", PATH + "/{name}", policy=policy.DELETE_TAG, target=policy.target, status=204, errors=(403, 404))
def delete(tx: Tx, request: Request, namespace: str, name: str) -> None:
    """Delete a tag."""
    owner = policy.visible(tx, request, namespace)
    row = _find(tx, owner, name)
    if owner.protected:
        raise Forbidden(f"Metadata definition tag {name} is protected and cannot be deleted.")
    tx.delete(tags, id=row.id)


@api.op("DELETE", PATH, policy=policy.DELETE_NAMESPACE, target=policy.target, status=204, errors=(403, 404))
def delete_all(tx: Tx, request: Request, namespace: str) -> None:
    """Delete all of a namespace's tags."""
    owner = policy.visible(tx, request, namespace)
    request.enforce(policy.DELETE_TAGS, policy.against(owner))
    tx.delete(tags, namespace_id=policy.deletable(tx, request, namespace).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def kept(name: str) -> dict[str, t.Any]:
    """A tag's row."""
    return {"name": name, "folded": name.casefold()}


def newest_first(tx: Tx, namespace: Row) -> list[TagName]:
    return [TagName(name=row.name) for row in reversed(content(tx, tags, namespace))]


def _order(query: TagsQuery) -> list[tuple[str, str]]:
    keys = dict.fromkeys(("folded" if query.sort_key == "name" else query.sort_key, "created_at"))
    return [(key, query.sort_dir or "desc") for key in keys]


def _view(row: Row) -> TagView:
    return TagView(name=row.name, **moments(row))


def _find(tx: Tx, namespace: Row, name: str) -> Row:
    row = tx.get(tags, namespace_id=namespace.id, folded=name.casefold())
    if row is None:
        raise NotFound(f"Could not find metadata tag {name}")
    return row
