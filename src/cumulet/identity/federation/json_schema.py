"""A checker for as much of JSON Schema (draft 4) as the Identity API's schema of mappings needs, which says what is wrong in that
language's usual words, and the pieces that such schemas are made of."""

from __future__ import annotations

import typing as t

Json = dict[str, t.Any]


def schema_object(properties: Json, *required: str) -> Json:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def schema_array(items: Json | None = None, **more: t.Any) -> Json:
    return {"type": "array", **({"items": items} if items else {}), **more}


TEXT: Json = {"type": "string"}
DOMAIN = schema_object({"id": TEXT, "name": TEXT})
ROLES = schema_array(schema_object({"name": TEXT}, "name"))
PROJECTS_WITHOUT_DOMAIN = schema_array(schema_object({"name": TEXT, "roles": ROLES}, "name", "roles"))
PROJECTS = schema_array(schema_object({"name": TEXT, "roles": ROLES, "domain": DOMAIN}, "name", "roles"))

# -- checking ------------------------------------------------------------------------------------------------------

TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool}


def errors(value: t.Any, schema: Json) -> t.Iterator[str]:
    """What is wrong with a value, by a schema of the words above."""
    if not isinstance(value, TYPES[schema["type"]]):
        yield f"{told(value)} is not of type {schema['type']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{told(value)} is not one of {schema['enum']!r}"
    if isinstance(value, dict):
        yield from _object_errors(value, schema)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{told(value)} should be non-empty"
        for one in value if "items" in schema else ():
            yield from errors(one, schema["items"])
    if "oneOf" in schema and not any(not list(errors(value, one)) for one in schema["oneOf"]):
        yield f"{told(value)} is not valid under any of the given schemas"


def _object_errors(value: Json, schema: Json) -> t.Iterator[str]:
    known = schema.get("properties", {})
    unknown = sorted(value.keys() - known.keys())
    if unknown and schema.get("additionalProperties") is False:
        verb = "was" if len(unknown) == 1 else "were"
        yield f"Additional properties are not allowed ({', '.join(map(told, unknown))} {verb} unexpected)"
    yield from (f"{name!r} is a required property" for name in schema.get("required", ()) if name not in value)
    for name in known.keys() & value.keys():
        yield from errors(value[name], known[name])


def told(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}..."
