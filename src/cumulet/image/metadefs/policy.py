"""The policy rules of metadata definitions, with the service's default checks, and what they are checked against."""

from __future__ import annotations

from ...kernel.auth.context import SCOPES
from ...kernel.db import Row, Tx
from ...kernel.http import Forbidden, NotFound, Request
from .. import api
from .tables import namespaces

UNKNOWN = "The resource could not be found."
MISSING = "Metadata definition namespace={name} was not found."

_ADMIN = "rule:metadef_admin"
_LIST = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)"
_VISIBLE = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"

ANYONE = api.rule("metadef_default", "", "Fetch the schemas of metadata definitions.", scopes=SCOPES)
api.rule("metadef_admin", "rule:context_is_admin", "Who changes metadata definitions.")

GET_NAMESPACE = api.rule("get_metadef_namespace", _VISIBLE, "Show a namespace, and know that it is there.")
GET_NAMESPACES = api.rule("get_metadef_namespaces", _LIST, "List namespaces.")
ADD_NAMESPACE = api.rule("add_metadef_namespace", _ADMIN, "Create a namespace.")
MODIFY_NAMESPACE = api.rule("modify_metadef_namespace", _ADMIN, "Change a namespace.")
DELETE_NAMESPACE = api.rule("delete_metadef_namespace", _ADMIN, "Delete a namespace, or all that it has of a kind.")

GET_OBJECT = api.rule("get_metadef_object", _VISIBLE, "Show an object.")
GET_OBJECTS = api.rule("get_metadef_objects", _VISIBLE, "List a namespace's objects.")
ADD_OBJECT = api.rule("add_metadef_object", _ADMIN, "Add an object to a namespace.")
MODIFY_OBJECT = api.rule("modify_metadef_object", _ADMIN, "Change an object.")
DELETE_OBJECT = api.rule("delete_metadef_object", _ADMIN, "Delete an object.")

LIST_TYPES = api.rule("list_metadef_resource_types", _VISIBLE, "List resource types, and those that a namespace is for.")
GET_TYPE = api.rule("get_metadef_resource_type", _VISIBLE, "See that a namespace is for a resource type.")
ADD_TYPE = api.rule("add_metadef_resource_type_association", _ADMIN, "Say that a namespace is for a resource type.")
REMOVE_TYPE = api.rule("remove_metadef_resource_type_association", _ADMIN, "Say that a namespace is no longer for a resource type.")

GET_PROPERTY = api.rule("get_metadef_property", _VISIBLE, "Show a property.")
GET_PROPERTIES = api.rule("get_metadef_properties", _VISIBLE, "List a namespace's properties.")
ADD_PROPERTY = api.rule("add_metadef_property", _ADMIN, "Add a property to a namespace.")
MODIFY_PROPERTY = api.rule("modify_metadef_property", _ADMIN, "Change a property.")
REMOVE_PROPERTY = api.rule("remove_metadef_property", _ADMIN, "Delete a property.")

GET_TAG = api.rule("get_metadef_tag", _VISIBLE, "Show a tag.")
GET_TAGS = api.rule("get_metadef_tags", _VISIBLE, "List a namespace's tags.")
ADD_TAG = api.rule("add_metadef_tag", _ADMIN, "Add a tag to a namespace.")
ADD_TAGS = api.rule("add_metadef_tags", _ADMIN, "Put several tags in the place of a namespace's, or add them.")
MODIFY_TAG = api.rule("modify_metadef_tag", _ADMIN, "Rename a tag.")
DELETE_TAG = api.rule("delete_metadef_tag", _ADMIN, "Delete a tag.")
DELETE_TAGS = api.rule("delete_metadef_tags", _ADMIN, "Delete all of a namespace's tags.")


def against(row: Row) -> dict:
    """A namespace, and all that is in it, as policy sees it."""
    return {"project_id": row.owner, "visibility": row.visibility}


def target(tx: Tx, request: Request, namespace: str, **_: str) -> dict:
    """What rules are checked against where a path names a namespace. Raises NotFound."""
    return against(visible(tx, request, namespace))


def named(tx: Tx, request: Request, namespace: str) -> dict:
    """The same for the operations that word its absence as the one on the namespace itself does."""
    return against(visible(tx, request, namespace, MISSING))


def reading(tx: Tx, request: Request) -> dict:
    """What rules are checked against where a path names no namespace. Raises NotFound where the caller may not even list them."""
    target = request.context.own_target()
    if not request.allows(GET_NAMESPACES, target):
        raise NotFound(UNKNOWN)
    return target


def visible(tx: Tx, request: Request, name: str, missing: str = "Namespace {name} not found") -> Row:
    """The namespace, where the caller may know of it. Raises NotFound, worded by `missing`."""
    row = tx.get(namespaces, namespace=name)
    if row is None or not _theirs(request, row):
        raise NotFound(missing.format(name=name))
    if not request.allows(GET_NAMESPACE, against(row)):
        raise NotFound(UNKNOWN)
    return row


def may_see(request: Request, row: Row) -> bool:
    """Whether the caller may know of a namespace."""
    return _theirs(request, row) and request.allows(GET_NAMESPACE, against(row))


def _theirs(request: Request, row: Row) -> bool:
    """Whatever policy says, only a namespace's project knows of it where it is private."""
    me = request.context
    return me.is_admin or row.visibility == "public" or row.owner == me.project_id


def deletable(tx: Tx, request: Request, name: str) -> Row:
    """The namespace, where what it has may be deleted with it, or all of a kind. Raises NotFound, Forbidden."""
    row = visible(tx, request, name)
    if row.protected:
        raise Forbidden(f"Metadata definition namespace {name} is protected and cannot be deleted.")
    return row
