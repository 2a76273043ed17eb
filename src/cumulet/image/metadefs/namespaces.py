"""Namespaces: they have objects, properties and tags, and are for some types of resources."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Conflict, Page, Query, Reply, Request, UnsetType, View, paged
from .. import api
from ..paging import amount
from . import objects, policy, properties, resource_types, tags
from .answers import link, moments, told
from .bodies import NamespaceBody, given
from .listing import check_listing
from .tables import ASSOCIATION_TAKEN, OBJECT_TAKEN, PROPERTY_TAKEN, TAG_TAKEN, add, associations, namespaces
from .tables import objects as object_table
from .tables import properties as property_table
from .tables import tags as tag_table

DEFAULT_LIMIT = 25
"""Namespaces of a page where nobody asks for more."""

# -- wire ----------------------------------------------------------------------------------------------------------


class NamespacesQuery(Query):
    """`marker` is a namespace's name, `resource_types` has commas between names."""

    limit: str | None = None
    marker: str | None = None
    sort_key: str = "created_at"
    sort_dir: str | None = None
    visibility: str | None = None
    resource_types: str | None = None


class NamespaceQuery(Query):
    """`resource_type`: the names of properties are told with the prefix that they have there."""

    resource_type: str | None = None
    visibility: str | None = None


class Namespace(View):
    namespace: str
    visibility: str
    protected: bool
    owner: str
    created_at: str
    updated_at: str
    self: str
    display_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    resource_type_associations: list[resource_types.AssociationView] | UnsetType = UNSET
    properties: dict[str, dict[str, t.Any]] | UnsetType = UNSET
    objects: list[objects.ObjectView] | UnsetType = UNSET
    tags: list[tags.TagName] | UnsetType = UNSET
    schema: str = "/v2/schemas/metadefs/namespace"


# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/metadefs/namespaces"
ONE = PATH + "/{namespace}"


@api.op("POST", PATH, policy=policy.ADD_NAMESPACE, target=policy.reading, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: NamespaceBody) -> Reply[Namespace]:
    """Create a namespace with all that it is to have."""
    _allowed_within(request, body)
    row = tx.insert(namespaces, **attributes(body, given(body.owner, None) or request.project))
    tx.update(namespaces, row.id, updated_at=row.created_at)
    row = tx.one(namespaces, id=row.id)
    fill(tx, row, body)
    return Reply(detailed(tx, row), headers={"Location": f"{request.base}{link(row.namespace)}"})


@api.op("GET", PATH, policy=policy.GET_NAMESPACES, target=policy.reading, reply="namespaces", errors=(403, 404))
def index(tx: Tx, request: Request, query: NamespacesQuery) -> Page[Namespace]:
    """List the namespaces that the caller may see."""
    request.enforce(policy.LIST_TYPES)
    check_listing(query.sort_dir, query.visibility, ("public", "private"))
    marker = None if query.marker is None else policy.visible(tx, request, query.marker, policy.MISSING)
    keys = dict.fromkeys((query.sort_key, "created_at"))
    rows, following = paged(
        tx, sa.select(namespaces).where(*_clauses(request, query)), namespaces, order=[(key, query.sort_dir or "desc") for key in keys],
        limit=DEFAULT_LIMIT if query.limit is None else amount(query.limit), marker=marker.id if marker else None,
        most=request.runtime.config.page_limit,
    )  # fmt: skip
    views = [_view(row, resource_type_associations=resource_types.views(tx, row) or UNSET) for row in rows if policy.may_see(request, row)]
    return Page(views, rows[-1].namespace if following else None, {"schema": "/v2/schemas/metadefs/namespaces"})


@api.op("GET", ONE, policy=policy.GET_NAMESPACE, errors=(400, 403, 404),
        target=policy.named)  # fmt: skip
def show(tx: Tx, request: Request, namespace: str, query: NamespaceQuery) -> Namespace:
    """Show a namespace with all that it has."""
    check_listing(None, query.visibility, ("public", "private"))
    row = policy.visible(tx, request, namespace)
    for rule in (policy.LIST_TYPES, policy.GET_OBJECTS, policy.GET_PROPERTIES, policy.GET_TAGS):
        request.enforce(rule, policy.against(row))
    found = detailed(tx, row)
    for one in given(found.resource_type_associations, []):
        if one.name == query.resource_type and one.prefix:
            _prefix(found, one.prefix)
    return found


@api.op("PUT", ONE, policy=policy.MODIFY_NAMESPACE, target=policy.target, errors=(403, 404, 409))
def update(tx: Tx, request: Request, namespace: str, body: NamespaceBody) -> Namespace:
    """Give a namespace other attributes; what it has stays."""
    row = policy.visible(tx, request, namespace)
    if body.namespace != row.namespace and tx.get(namespaces, namespace=body.namespace):
        raise Conflict(
            f"Invalid update. It would result in a duplicate metadata definition namespace with the same name of {body.namespace}"
        )
    tx.update(namespaces, row.id, **attributes(body, given(body.owner, None) or request.project))
    return _view(tx.one(namespaces, id=row.id))


@api.op("DELETE", ONE, policy=policy.DELETE_NAMESPACE, target=policy.target, status=204, errors=(403, 404))
def delete(tx: Tx, request: Request, namespace: str) -> None:
    """Delete a namespace with all that it has."""
    tx.delete(namespaces, id=policy.deletable(tx, request, namespace).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def attributes(body: NamespaceBody, owner: str) -> dict[str, t.Any]:
    """A namespace's row."""
    return {
        "namespace": body.namespace, "display_name": given(body.display_name, None), "description": given(body.description, None),
        "visibility": body.visibility, "protected": body.protected, "owner": owner,
    }  # fmt: skip


def fill(tx: Tx, row: Row, body: NamespaceBody) -> None:
    """Add to a namespace all that it is to have. Raises Conflict."""
    resource_types.know(tx, given(body.resource_type_associations, []))
    for table, taken, rows in within(body):
        add(tx, table, row, taken, rows)


def within(body: NamespaceBody) -> list[tuple[sa.Table, str, list[dict[str, t.Any]]]]:
    """What a namespace is to have: of each kind the table, the words for what is there already, and the rows."""
    return [
        (associations, ASSOCIATION_TAKEN, [resource_types.kept(one) for one in given(body.resource_type_associations, [])]),
        (object_table, OBJECT_TAKEN, [objects.kept(one) for one in given(body.objects, [])]),
        (tag_table, TAG_TAKEN, [tags.kept(one.name) for one in given(body.tags, [])]),
        (property_table, PROPERTY_TAKEN, [properties.kept(name, one) for name, one in given(body.properties, {}).items()]),
    ]


def detailed(tx: Tx, row: Row) -> Namespace:
    """A namespace with all that it has; nothing is told of what it has none of."""
    return _view(
        row, resource_type_associations=resource_types.views(tx, row) or UNSET, properties=properties.by_name(tx, row) or UNSET,
        objects=objects.views(tx, row) or UNSET, tags=tags.newest_first(tx, row) or UNSET,
    )  # fmt: skip


def _view(row: Row, **within: t.Any) -> Namespace:
    return Namespace(
        namespace=row.namespace, display_name=told(row.display_name), description=told(row.description), visibility=row.visibility,
        protected=row.protected, owner=row.owner, self=link(row.namespace), **moments(row), **within,
    )  # fmt: skip


def _allowed_within(request: Request, body: NamespaceBody) -> None:
    """Raise Forbidden where the caller may not add all that a namespace is to have."""
    asked = {
        policy.ADD_TYPE: body.resource_type_associations, policy.ADD_OBJECT: body.objects, policy.ADD_PROPERTY: body.properties,
        policy.ADD_TAG: body.tags,
    }  # fmt: skip
    for rule, sent in asked.items():
        if sent:
            request.enforce(rule)


def _clauses(request: Request, query: NamespacesQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    c = namespaces.c
    if not request.context.is_admin:
        yield sa.or_(c.owner == request.context.project_id, c.visibility == "public")
    if query.visibility is not None:
        yield c.visibility == query.visibility
    if query.resource_types is not None:
        names = query.resource_types.split(",")
        yield c.id.in_(sa.select(associations.c.namespace_id).where(associations.c.name.in_(names)))


def _prefix(found: Namespace, prefix: str) -> None:
    """Tell the names of a namespace's properties as a type of resources has them."""
    found.properties = {prefix + name: one for name, one in given(found.properties, {}).items()} or UNSET
    for one in given(found.objects, []):
        one.properties = {prefix + name: schema for name, schema in given(one.properties, {}).items()}
        one.required = [prefix + name for name in given(one.required, [])]
