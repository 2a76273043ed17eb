"""Properties: the names and values that resources may be given."""

from __future__ import annotations

import typing as t

from ...kernel.db import Row, Tx
from ...kernel.http import Forbidden, NotFound, Query, Request, View
from .. import api
from . import policy
from .bodies import Described, PropertyBody
from .tables import PROPERTY_TAKEN, add, associations, content, properties, rename, resource_types


class PropertyQuery(Query):
    """`resource_type`: the property is named with the prefix that it has there."""

    resource_type: str | None = None


class Properties(View):
    properties: dict[str, dict[str, t.Any]]


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/metadefs/namespaces/{namespace}/properties"


@api.op("POST", PATH, policy=policy.ADD_PROPERTY, target=policy.target, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, namespace: str, body: PropertyBody) -> dict:
    """Add a property to a namespace."""
    owner = policy.visible(tx, request, namespace)
    add(tx, properties, owner, PROPERTY_TAKEN, [kept(body.name, body)])
    return _view(_find(tx, owner, body.name))


@api.op("GET", PATH, policy=policy.GET_PROPERTIES, target=policy.target, errors=(403, 404))
def index(tx: Tx, request: Request, namespace: str) -> Properties:
    """List a namespace's properties, by their names."""
    return Properties(properties=by_name(tx, policy.visible(tx, request, namespace)))


@api.op("GET", PATH + "/{name}", policy=policy.GET_PROPERTY, target=policy.target, errors=(403, 404))
def show(tx: Tx, request: Request, namespace: str, name: str, query: PropertyQuery) -> dict:
    """Show a property."""
    owner = policy.visible(tx, request, namespace)
    if query.resource_type:
        request.enforce(policy.GET_TYPE, policy.against(owner))
        name = _without_prefix(tx, owner, query.resource_type, name)
    return _view(_find(tx, owner, name))


@api.op("PUT", PATH + "/{name}", policy=policy.MODIFY_PROPERTY, target=policy.target, errors=(403, 404, 409))
def update(tx: Tx, request: Request, namespace: str, name: str, body: PropertyBody) -> dict:
    """Put another property in a property's place."""
    owner = policy.visible(tx, request, namespace)
    return _view(rename(tx, properties, owner, _find(tx, owner, name), _DUPLICATE, **kept(body.name, body)))


@api.op("DELETE", PATH + "/{name}", policy=policy.REMOVE_PROPERTY, target=policy.target, status=204, errors=(403, 404))
def delete(tx: Tx, request: Request, namespace: str, name: str) -> None:
    """Delete a property."""
    owner = policy.visible(tx, request, namespace)
    row = _find(tx, owner, name)
    if owner.protected:
        raise Forbidden(f"Metadata definition property {name} is protected and cannot be deleted.")
    tx.delete(properties, id=row.id)


@api.op("DELETE", PATH, policy=policy.DELETE_NAMESPACE, target=policy.target, status=204, errors=(403, 404))
def delete_all(tx: Tx, request: Request, namespace: str) -> None:
    """Delete all of a namespace's properties."""
    tx.delete(properties, namespace_id=policy.deletable(tx, request, namespace).id)


# -- helpers -------------------------------------------------------------------------------------------------------

_DUPLICATE = (
    "Invalid update. It would result in a duplicate metadata definition property with the same name={name} in namespace={namespace}."
)  # fmt: skip


def kept(name: str, body: Described) -> dict[str, t.Any]:
    """A property's row."""
    return {"name": name, "schema": body.kept()}


def by_name(tx: Tx, namespace: Row) -> dict[str, dict[str, t.Any]]:
    return {row.name: row.schema for row in content(tx, properties, namespace)}


def _view(row: Row) -> dict[str, t.Any]:
    return {**row.schema, "name": row.name}


def _find(tx: Tx, namespace: Row, name: str) -> Row:
    row = tx.get(properties, namespace_id=namespace.id, name=name)
    if row is None:
        raise NotFound(f"Could not find property {name}")
    return row


def _without_prefix(tx: Tx, namespace: Row, resource_type: str, name: str) -> str:
    """A property's name of one that such a resource has. Raises NotFound."""
    found = tx.get(associations, namespace_id=namespace.id, name=resource_type)
    if found is None and tx.get(resource_types, name=resource_type) is None:
        raise NotFound(f"The metadata definition resource-type with name={resource_type}, was not found.")
    if found is None:
        raise NotFound(
            f"The metadata definition resource-type association of resource-type={resource_type} "
            f"to namespace={namespace.namespace}, was not found."
        )
    prefix = found.prefix or ""
    if not name.startswith(prefix):
        raise NotFound(f"Property {name} does not start with the expected resource type association prefix of '{prefix}'.")
    return name.removeprefix(prefix)
