"""Objects: properties of a namespace that go together."""

from __future__ import annotations

import typing as t

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Forbidden, NotFound, Query, Request, UnsetType, View
from .. import api
from ..paging import amount
from . import policy
from .answers import link, moments, quoted, told
from .bodies import Object, ObjectBody, given
from .listing import check_listing
from .tables import OBJECT_TAKEN, add, content, objects, rename

# -- wire ----------------------------------------------------------------------------------------------------------


class ObjectQuery(Query):
    """Lists of objects are whole, as upstream's are: what asks for a page or an order is looked at, no more."""

    limit: str | None = None
    sort_dir: str | None = None
    visibility: str | None = None


class ObjectView(View):
    name: str
    description: str | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    properties: dict[str, dict[str, t.Any]] | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET
    self: str | UnsetType = UNSET
    schema: str | UnsetType = UNSET


class Objects(View):
    objects: list[ObjectView]
    schema: str = "v2/schemas/metadefs/objects"


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/metadefs/namespaces/{namespace}/objects"


@api.op("POST", PATH, policy=policy.ADD_OBJECT, target=policy.named, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, namespace: str, body: ObjectBody) -> ObjectView:
    """Add an object to a namespace."""
    owner = policy.visible(tx, request, namespace)
    add(tx, objects, owner, OBJECT_TAKEN, [kept(body)])
    return _answer(owner, _find(tx, owner, body.name), body)


@api.op("GET", PATH, policy=policy.GET_OBJECTS, target=policy.named, errors=(403, 404))
def index(tx: Tx, request: Request, namespace: str, query: ObjectQuery) -> Objects:
    """List a namespace's objects."""
    check_listing(query.sort_dir, query.visibility, ("public", "private", "shared"))
    if query.limit is not None and amount(query.limit) == 0:
        raise BadRequest("limit param must be positive")
    owner = policy.visible(tx, request, namespace)
    seen = request.allows(policy.GET_OBJECT, policy.against(owner))
    return Objects(objects=views(tx, owner) if seen else [])


@api.op("GET", PATH + "/{name}", policy=policy.GET_OBJECT, target=policy.target, errors=(403, 404))
def show(tx: Tx, request: Request, namespace: str, name: str) -> ObjectView:
    """Show an object."""
    owner = policy.visible(tx, request, namespace)
    return _view(owner, _find(tx, owner, name))


@api.op("PUT", PATH + "/{name}", policy=policy.MODIFY_OBJECT, target=policy.target, errors=(403, 404, 409))
def update(tx: Tx, request: Request, namespace: str, name: str, body: ObjectBody) -> ObjectView:
    """Put another object in an object's place."""
    owner = policy.visible(tx, request, namespace)
    row = rename(tx, objects, owner, _find(tx, owner, name), _DUPLICATE, **kept(body))
    return _answer(owner, row, body)


@api.op("DELETE", PATH + "/{name}", policy=policy.DELETE_OBJECT, target=policy.target, status=204, errors=(403, 404))
def delete(tx: Tx, request: Request, namespace: str, name: str) -> None:
    """Delete an object."""
    owner = policy.visible(tx, request, namespace)
    row = _find(tx, owner, name)
    if owner.protected:
        raise Forbidden(f"Metadata definition object {name} is protected and cannot be deleted.")
    tx.delete(objects, id=row.id)


@api.op("DELETE", PATH, policy=policy.DELETE_NAMESPACE, target=policy.target, status=204, errors=(403, 404))
def delete_all(tx: Tx, request: Request, namespace: str) -> None:
    """Delete all of a namespace's objects."""
    tx.delete(objects, namespace_id=policy.deletable(tx, request, namespace).id)


# -- helpers -------------------------------------------------------------------------------------------------------

_DUPLICATE = (
    "Invalid update. It would result in a duplicate metadata definition object with the same name={name} in namespace={namespace}."
)  # fmt: skip


def kept(body: Object) -> dict[str, t.Any]:
    """An object's row."""
    properties = {name: one.kept() for name, one in given(body.properties, {}).items()}
    return {"name": body.name, "description": given(body.description, None), "required": given(body.required, []), "properties": properties}


def views(tx: Tx, namespace: Row) -> list[ObjectView]:
    return [_view(namespace, row) for row in content(tx, objects, namespace)]


def _view(namespace: Row, row: Row) -> ObjectView:
    return ObjectView(
        name=row.name, description=told(row.description), required=row.required, properties=row.properties, **moments(row),
        self=f"{link(namespace.namespace)}/objects/{quoted(row.name)}", schema="/v2/schemas/metadefs/object",
    )  # fmt: skip


def _answer(namespace: Row, row: Row, body: Object) -> ObjectView:
    """To what was written: without what was not."""
    answer = _view(namespace, row)
    answer.required = body.required
    answer.properties = answer.properties if body.properties else UNSET
    return answer


def _find(tx: Tx, namespace: Row, name: str) -> Row:
    row = tx.get(objects, namespace_id=namespace.id, name=name)
    if row is None:
        raise NotFound(f"Could not find metadata object {name}")
    return row
