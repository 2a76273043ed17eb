"""A checker for as much of JSON Schema as the services' own schemas need, which says what is wrong in that language's usual words.

Formats and patterns are not looked at, and elements of an array are told apart where they are texts.
"""

from __future__ import annotations

import typing as t

Json = dict[str, t.Any]
At = tuple[str | int, ...]


class Wrong(t.NamedTuple):
    """What is wrong, and where in the value."""

    message: str
    at: At


TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def errors(value: t.Any, schema: Json, at: At = (), whole: Json | None = None) -> t.Iterator[Wrong]:
    """What is wrong with a value, by a schema, whose `$ref` are found in the definitions of the `whole` of it."""
    whole = schema if whole is None else whole
    if "$ref" in schema:
        yield from errors(value, whole["definitions"][schema["$ref"].removeprefix("#/definitions/")], at, whole)
    for one in schema.get("allOf", ()):
        yield from errors(value, one, at, whole)
    yield from (Wrong(message, at) for message in _plain_errors(value, schema))
    if isinstance(value, dict):
        yield from _object_errors(value, schema, at, whole)
    elif isinstance(value, list):
        for i, one in enumerate(value) if "items" in schema else ():
            yield from errors(one, schema["items"], (*at, i), whole)
    if "oneOf" in schema and not any(not list(errors(value, one, at, whole)) for one in schema["oneOf"]):
        yield Wrong(f"{told(value)} is not valid under any of the given schemas", at)


def worst(value: t.Any, schema: Json) -> Wrong | None:
    """What to tell of several errors: the one that is least deep, as the libraries for schemas choose it."""
    return max(errors(value, schema), key=lambda wrong: (-len(wrong.at), wrong.at), default=None)


def told(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}..."


def _plain_errors(value: t.Any, schema: Json) -> t.Iterator[str]:
    """What is wrong with a value itself."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{told(value)} is not of type {', '.join(map(repr, kinds))}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{told(value)} is not one of {schema['enum']!r}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{told(value)} is too long"
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        yield f"{told(value)} is too short"
    if _is(value, "number") and value < schema.get("minimum", value):
        yield f"{told(value)} is less than the minimum of {schema['minimum']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{told(value)} should be non-empty"
        texts = [one for one in value if isinstance(one, str)]
        if schema.get("uniqueItems") and len(set(texts)) < len(texts):
            yield f"{told(value)} has non-unique elements"


def _object_errors(value: Json, schema: Json, at: At, whole: Json) -> t.Iterator[Wrong]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    unknown = sorted(value.keys() - known.keys())
    if unknown and others is False:
        verb = "was" if len(unknown) == 1 else "were"
        yield Wrong(f"Additional properties are not allowed ({', '.join(map(told, unknown))} {verb} unexpected)", at)
    yield from (Wrong(f"{name!r} is a required property", at) for name in schema.get("required", ()) if name not in value)
    for name in schema.get("dependentRequired", {}).keys() & value.keys():
        missing = [other for other in schema["dependentRequired"][name] if other not in value]
        yield from (Wrong(f"{other!r} is a dependency of {name!r}", at) for other in missing)
    for name in known.keys() & value.keys():
        yield from errors(value[name], known[name], (*at, name), whole)
    if isinstance(others, dict):
        for name in unknown:
            yield from errors(value[name], t.cast(Json, others), (*at, name), whole)


def _is(value: t.Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        right = isinstance(value, int) or (isinstance(value, float) and (kind == "number" or value.is_integer()))
        return right and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])
