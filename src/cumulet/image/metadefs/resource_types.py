"""Resource types: the kinds of things that a namespace's properties are for."""

from __future__ import annotations

import contextlib
import typing as t

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Conflict, Forbidden, NotFound, Request, UnsetType, View
from .. import api
from . import policy
from .answers import moments, told
from .bodies import Association, AssociationBody, given
from .tables import ASSOCIATION_TAKEN, add, associations, content, resource_types


class ResourceType(View):
    name: str
    created_at: str
    updated_at: str


class ResourceTypes(View):
    resource_types: list[ResourceType]


class AssociationView(View):
    name: str
    prefix: str | UnsetType = UNSET
    properties_target: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET


class Associations(View):
    resource_type_associations: list[AssociationView]


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/metadefs/namespaces/{namespace}/resource_types"


@api.op("GET", "/metadefs/resource_types", policy=policy.LIST_TYPES, target=policy.reading, errors=(404,))
def index(tx: Tx, request: Request) -> ResourceTypes:
    """List the types that there has been a namespace for."""
    rows = tx.rows(resource_types, order=resource_types.c.created_at)
    return ResourceTypes(resource_types=[ResourceType(name=row.name, **moments(row)) for row in rows])


@api.op("GET", PATH, policy=policy.LIST_TYPES, target=policy.target, errors=(403, 404))
def associated(tx: Tx, request: Request, namespace: str) -> Associations:
    """List the types that a namespace is for."""
    owner = policy.visible(tx, request, namespace)
    seen = request.allows(policy.GET_TYPE, policy.against(owner))
    return Associations(resource_type_associations=views(tx, owner) if seen else [])


@api.op("POST", PATH, policy=policy.ADD_TYPE, target=policy.target, status=201, errors=(403, 404, 409))
def associate(tx: Tx, request: Request, namespace: str, body: AssociationBody) -> AssociationView:
    """Say that a namespace is for a type, which comes to be there where it is not."""
    owner = policy.visible(tx, request, namespace)
    know(tx, [body])
    add(tx, associations, owner, ASSOCIATION_TAKEN, [kept(body)])
    return _view(_find(tx, owner, body.name))


@api.op("DELETE", PATH + "/{name}", policy=policy.REMOVE_TYPE, target=policy.target, status=204, errors=(403, 404))
def dissociate(tx: Tx, request: Request, namespace: str, name: str) -> None:
    """Say that a namespace is no longer for a type."""
    owner = policy.visible(tx, request, namespace)
    row = _find(tx, owner, name)
    if owner.protected:
        raise Forbidden(f"Metadata definition resource-type-association {name} is protected and cannot be deleted.")
    tx.delete(associations, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def know(tx: Tx, bodies: t.Sequence[Association]) -> None:
    """Have these types be there."""
    for body in bodies:
        if tx.get(resource_types, name=body.name) is None:
            with contextlib.suppress(Conflict), tx.savepoint():  # another request's may have come to be there in this moment
                row = tx.insert(resource_types, name=body.name)
                tx.update(resource_types, row.id, updated_at=row.created_at)


def kept(body: Association) -> dict[str, t.Any]:
    """An association's row."""
    return {"name": body.name, "prefix": given(body.prefix, None), "properties_target": given(body.properties_target, None)}


def views(tx: Tx, namespace: Row) -> list[AssociationView]:
    return [_view(row) for row in content(tx, associations, namespace)]


def _view(row: Row) -> AssociationView:
    return AssociationView(name=row.name, prefix=told(row.prefix), properties_target=told(row.properties_target), **moments(row))


def _find(tx: Tx, namespace: Row, name: str) -> Row:
    row = tx.get(associations, namespace_id=namespace.id, name=name)
    if row is None:
        raise NotFound(f"Failed to find resource type {name} to delete")
    return row
