"""JSON schemas of metadata definitions: what clients may send is checked against them, and they can be fetched."""

from __future__ import annotations

import typing as t

from ...kernel.http import Request
from ...kernel.json_schema import Json
from .. import api
from .policy import ANYONE

# -- the pieces ----------------------------------------------------------------------------------------------------

TEXT: Json = {"type": "string"}
NAME: Json = {"type": "string", "maxLength": 80}
BOOLEAN: Json = {"type": "boolean"}
NATURAL, NATURAL_OR_0 = {"$ref": "#/definitions/positiveInteger"}, {"$ref": "#/definitions/positiveIntegerDefault0"}
TEXTS = {"$ref": "#/definitions/stringArray"}
TYPE: Json = {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string", None]}
NUMBERS: Json = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [NATURAL, {"default": 0}]},
}
MADE: Json = {
    "created_at": {"type": "string", "readOnly": True, "description": "When it was created", "format": "date-time"},
    "updated_at": {"type": "string", "readOnly": True, "description": "When it was last changed", "format": "date-time"},
}
LINKS: Json = {"schema": {"readOnly": True, "type": "string"}, "self": {"readOnly": True, "type": "string"}}
ITEMS: Json = {"type": "object", "properties": {"type": TYPE, "enum": {"type": "array"}}}
PROPERTY_FIELDS: Json = {
    "name": NAME, "title": TEXT, "description": TEXT, "operators": {"type": "array", "items": TEXT}, "type": TYPE, "required": TEXTS,
    "minimum": {"type": "number"}, "maximum": {"type": "number"}, "maxLength": NATURAL, "minLength": NATURAL_OR_0,
    "pattern": {"type": "string", "format": "regex"}, "enum": {"type": "array"}, "readonly": BOOLEAN, "default": {}, "items": ITEMS,
    "maxItems": NATURAL, "minItems": NATURAL_OR_0, "uniqueItems": {"type": "boolean", "default": False}, "additionalItems": BOOLEAN,
}  # fmt: skip
DEFINITIONS: Json = NUMBERS | {
    "stringArray": {"type": "array", "items": TEXT, "uniqueItems": True},
    "property": {
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": PROPERTY_FIELDS},
    },
}
PROPERTIES = {"$ref": "#/definitions/property"}


def _one(name: str, properties: Json, *required: str, definitions: Json | None = None) -> Json:
    schema: Json = {"name": name, "properties": properties, "additionalProperties": False}
    return schema | ({"definitions": definitions} if definitions else {}) | ({"required": list(required)} if required else {})


def _list(of: Json, **fields: Json) -> Json:
    return {"type": "array", "items": {"type": "object", "properties": fields} | of}


# -- the schemas ---------------------------------------------------------------------------------------------------

NAMESPACE = _one("namespace", {
    "namespace": NAME | {"description": "What the namespace is called: no two are called the same"},
    "display_name": NAME | {"description": "What people are shown as its name"},
    "description": {"type": "string", "description": "What it is for", "maxLength": 500},
    "visibility": {"type": "string", "description": "Whether all projects see it, or its owner alone", "enum": ["public", "private"]},
    "protected": {"type": "boolean", "description": "Whether it is kept from being deleted"},
    "owner": {"type": "string", "description": "The project that it belongs to", "maxLength": 255},
    **MADE, **LINKS,
    "resource_type_associations": _list({}, name=TEXT, prefix=TEXT, properties_target=TEXT),
    "properties": PROPERTIES,
    "objects": _list({}, name=TEXT, description=TEXT, required=TEXTS, properties=PROPERTIES),
    "tags": _list({}, name=TEXT),
}, "namespace", definitions=DEFINITIONS)  # fmt: skip
OBJECT = _one(
    "object", {"name": NAME, "description": TEXT, "required": TEXTS, "properties": PROPERTIES, **LINKS, **MADE}, "name",
    definitions=DEFINITIONS,
)  # fmt: skip
_IN_PROPERTY = NUMBERS | {"stringArray": {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}}
PROPERTY = _one("property", PROPERTY_FIELDS, "type", "title", "name", definitions=_IN_PROPERTY)
PROPERTY_OF_OBJECT = _one("property", PROPERTY_FIELDS, "type", "title", definitions=_IN_PROPERTY)
RESOURCE_TYPE = _one("resource_type_association", {
    "name": NAME | {"description": "The type's name, as orchestration has it where it has one"},
    "prefix": NAME | {"description": "What the names of properties begin with on such resources, its separator (:) included"},
    "properties_target": NAME | {"description": "Which of several kinds of metadata of such a resource is meant"},
    **MADE,
}, "name")  # fmt: skip
TAG = _one("tag", {"name": NAME, **MADE}, "name")
TAGS = _one("tags", {"tags": _list({"required": ["name"], "additionalProperties": False}, name=TEXT)})


def _listed(name: str, one: Json, *, by_name: bool = False) -> Json:
    """The schema of a list of these, or of an object that has them by their names."""
    item = {key: value for key, value in one.items() if key != "definitions"}
    if by_name:
        item["required"] = [field for field in item["required"] if field != "name"]
    held: Json = {"type": "object", "additionalProperties": item} if by_name else {"type": "array", "items": item}
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}]
    schema: Json = {"name": name, "properties": {name: held, "first": TEXT, "next": TEXT, "schema": TEXT}, "links": links}
    return schema | ({"definitions": one["definitions"]} if "definitions" in one else {})


SCHEMAS: dict[str, tuple[str, Json]] = {
    "namespace": ("The schema of a namespace.", NAMESPACE),
    "namespaces": ("The schema of a list of namespaces.", _listed("namespaces", NAMESPACE)),
    "resource_type": ("The schema of a resource type that a namespace is for.", RESOURCE_TYPE),
    "resource_types": (
        "The schema of a list of the resource types that a namespace is for.", _listed("resource_type_associations", RESOURCE_TYPE)
    ),
    "object": ("The schema of an object.", OBJECT),
    "objects": ("The schema of a list of objects.", _listed("objects", OBJECT)),
    "property": ("The schema of a property.", PROPERTY),
    "properties": ("The schema of properties by their names.", _listed("properties", PROPERTY, by_name=True)),
    "tag": ("The schema of a tag.", TAG),
    "tags": ("The schema of a list of tags.", _listed("tags", TAG)),
}  # fmt: skip
"""By the name that they are fetched by."""

# -- operations ----------------------------------------------------------------------------------------------------


def _fetches(schema: Json) -> t.Callable:
    async def fetch(request: Request) -> dict:
        return schema

    return fetch


for _name, (_words, _schema) in SCHEMAS.items():
    _fetch = _fetches(_schema)
    _fetch.__name__, _fetch.__doc__ = _name, _words
    api.op("GET", f"/schemas/metadefs/{_name}", policy=ANYONE)(_fetch)
