"""The pieces that the Identity API's JSON schema of mappings is made of."""

from __future__ import annotations

import typing as t

from ...kernel.json_schema import Json


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
