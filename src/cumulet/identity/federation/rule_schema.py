"""What the rules of a mapping may look like: the Identity API's own JSON schema of them, a checker for as much of JSON Schema
as that needs, which says what is wrong in that language's usual words, and what no schema can say."""

from __future__ import annotations

import json
import typing as t

from .patterns import PatternError, pattern
from .rules import ASKING, CONDITIONS, LISTS, VERSIONS, Json, RuleError, fill, names

LARGEST = 65_535
"""The most characters of a mapping's rules, as JSON."""

# -- the schema ----------------------------------------------------------------------------------------------------

TEXT: Json = {"type": "string"}


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def _array(items: Json | None = None, **more: t.Any) -> Json:
    return {"type": "array", **({"items": items} if items else {}), **more}


def _condition(kind: str) -> Json:
    return _object({"type": TEXT, kind: _array(), "regex": {"type": "boolean"}}, "type", kind)


DOMAIN = _object({"id": TEXT, "name": TEXT})
USER = _object({"id": TEXT, "name": TEXT, "email": TEXT, "domain": DOMAIN, "type": {"type": "string", "enum": ["ephemeral", "local"]}})
GROUP: Json = {"type": "object", "oneOf": [_object({"id": TEXT}, "id"), _object({"name": TEXT, "domain": DOMAIN}, "name", "domain")]}
REMOTE: Json = {"type": "object", "oneOf": [_object({"type": TEXT}, "type"), *(_condition(kind) for kind in CONDITIONS)]}


def _mapping(version: str) -> Json:
    project: Json = {"name": TEXT, "roles": _array(_object({"name": TEXT}, "name"))}
    if version != "1.0":
        project["domain"] = DOMAIN
    local = {"user": USER, "projects": _array(_object(project, "name", "roles")), "group": GROUP, "groups": TEXT, "group_ids": TEXT,
             "domain": DOMAIN}  # fmt: skip
    rule = _object({"local": _array(_object(local)), "remote": _array(REMOTE, minItems=1)}, "local", "remote")
    return {"type": "object", "required": ["rules"], "properties": {"rules": _array(rule, minItems=1), "schema_version": TEXT}}


SCHEMAS = {version: _mapping(version) for version in VERSIONS}

# -- checking ------------------------------------------------------------------------------------------------------


def check(mapping: Json) -> str:
    """The schema version of a mapping whose rules may be kept. Raises RuleError with everything that is wrong."""
    version = mapping.get("schema_version") or VERSIONS[0]
    if version not in VERSIONS:
        raise RuleError(f"{_told(version)} is not one of {list(VERSIONS)!r}")
    if wrong := sorted(errors(mapping, SCHEMAS[version])):
        raise RuleError("\n".join(wrong))
    if len(json.dumps(mapping["rules"])) > LARGEST:
        raise RuleError(f"The rules have more than {LARGEST} characters")
    for rule in mapping["rules"]:
        for condition in rule["remote"]:
            _check_condition(condition)
        _check_local(rule["local"], [["-"] for condition in rule["remote"] if not ASKING & condition.keys()])
    return version


def _check_condition(condition: Json) -> None:
    """Raise RuleError for values that no text of an assertion can be, and for patterns that are not matched here."""
    values = next((condition[kind] for kind in CONDITIONS if kind in condition), [])
    for value in values:
        if not isinstance(value, str):
            raise RuleError(f"{_told(value)} is not of type 'string'")
        if condition.get("regex"):
            try:
                pattern(value)
            except PatternError as error:
                raise RuleError(str(error)) from None


def _check_local(local: t.Any, matches: list[list[str]]) -> None:
    """Raise RuleError for texts that refer to what the remote part does not let through."""
    if isinstance(local, str):
        fill(local, matches)
    for key, value in local.items() if isinstance(local, dict) else enumerate(local) if isinstance(local, list) else ():
        if key in LISTS:
            names(value, matches)
        else:
            _check_local(value, matches)


# -- JSON Schema ---------------------------------------------------------------------------------------------------

TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool}


def errors(value: t.Any, schema: Json) -> t.Iterator[str]:
    """What is wrong with a value: by JSON Schema, draft 4, of which SCHEMAS use these words."""
    if not isinstance(value, TYPES[schema["type"]]):
        yield f"{_told(value)} is not of type {schema['type']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{_told(value)} is not one of {schema['enum']!r}"
    if isinstance(value, dict):
        yield from _object_errors(value, schema)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{_told(value)} should be non-empty"
        for one in value if "items" in schema else ():
            yield from errors(one, schema["items"])
    if "oneOf" in schema and not any(not list(errors(value, one)) for one in schema["oneOf"]):
        yield f"{_told(value)} is not valid under any of the given schemas"


def _object_errors(value: Json, schema: Json) -> t.Iterator[str]:
    known = schema.get("properties", {})
    unknown = sorted(value.keys() - known.keys())
    if unknown and schema.get("additionalProperties") is False:
        verb = "was" if len(unknown) == 1 else "were"
        yield f"Additional properties are not allowed ({', '.join(map(_told, unknown))} {verb} unexpected)"
    yield from (f"{name!r} is a required property" for name in schema.get("required", ()) if name not in value)
    for name in known.keys() & value.keys():
        yield from errors(value[name], known[name])


def _told(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}..."
