"""The OpenAPI 3.1 document, made from the declarations."""

from __future__ import annotations

import collections
import inspect
import re
import typing as t

import msgspec

from .api import FIRST, LAST, Api, Operation
from .dialects import JSON, Dialect
from .versions import since, struct_in, until
from .wire import Body, Page, Reply

Json = dict[str, t.Any]
Declared = tuple[Api, Operation]

_NAMED = re.compile(r"\{(\w+)(?::path)?\}")
_REF = "#/components/schemas/{name}"


def document(apis: t.Iterable[Api]) -> Json:
    """Every operation of these services. Those that share a method and a path (actions, and versions of one
    operation) are one entry, as OpenAPI has it, with a choice of bodies and answers."""
    apis = list(apis)
    groups: dict[tuple[str, str], list[Declared]] = {}
    for api in apis:
        for op in api.operations:
            groups.setdefault((_NAMED.sub("{}", api.paths(op)[0]), op.method.lower()), []).append((api, op))
    schemas = Schemas([declared for group in groups.values() for declared in group])
    paths: dict[str, Json] = {}
    spelled: dict[str, str] = {}
    for (form, method), group in groups.items():
        path = spelled.setdefault(form, _NAMED.sub(r"{\1}", group[0][0].paths(group[0][1])[0]) or "/")
        paths.setdefault(path, {})[method] = _entry(path, group, schemas)
    _number_repeated(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cumulet", "version": "1", "description": "The OpenStack APIs of one cloud."},
        "tags": [{"name": api.service} for api in apis],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {
                "Unauthorized": _fault(Dialect()),
                **{_fault_name(api, op): _fault(op.dialect or api.dialect) for api in apis for op in api.operations},
            },
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


class Schemas:
    """The JSON schemas of what operations take and answer: those of structs once, as components, at their newest.
    A field that came or went with a microversion, or that a query may leave out, is never required."""

    def __init__(self, declared: list[Declared]):
        named = ((id(op), kind, hint) for _, op in declared for kind, hint in (("body", op.body), ("view", _item(op.view))))
        hints = {(op, kind): hint for op, kind, hint in named if hint is not None}
        found, self.components = msgspec.json.schema_components(hints.values(), schema_hook=_unknown, ref_template=_REF)
        self._found = dict(zip(hints, found, strict=True))
        classes = dict.fromkeys(cls for hint in hints.values() for cls in _classes(hint))
        picked = {struct_in(_item(op.view)) for api, op in declared if op.method == "GET" and api.dialect.picks_fields}
        names = collections.Counter(cls.__name__ for cls in classes)
        for cls in classes:
            whole = cls.__name__ if names[cls.__name__] == 1 else f"{cls.__module__}.{cls.__qualname__}"
            _soften(self.components[whole], cls)
            if cls in picked:
                self.components[whole].pop("required", None)

    def body(self, op: Operation) -> Json | None:
        """What a request's body is; None where there is none."""
        key = op.action or op.wrap
        if op.body is None and op.action is None:
            return None
        inner = self._found.get((id(op), "body"), {})
        if key is None:
            return inner
        strict = op.action is not None or (isinstance(op.body, type) and issubclass(op.body, Body))
        return {"type": "object", "properties": {key: inner}, "required": [key]} | ({"additionalProperties": False} if strict else {})

    def answer(self, op: Operation) -> Json | None:
        """What a success's body is; None where the declaration does not say."""
        if op.view is None or op.view is Reply or _is_response(op.view):
            return None
        schema = self._found.get((id(op), "view"), {})
        if t.get_origin(op.view) is Page or op.view is Page:
            schema = {"type": "array", "items": schema}
        return {"type": "object", "properties": {op.reply: schema}, "required": [op.reply]} if op.reply else schema


def _entry(path: str, group: list[Declared], schemas: Schemas) -> Json:
    api, first = group[0]
    entry: Json = {
        "operationId": first.name,
        "summary": _summary([op for _, op in group]),
        "tags": [api.service],
        "parameters": _parameters(path, group),
        "responses": _responses(group, schemas),
        "x-operations": [_facts(op) for _, op in group],
    }
    if all(op.policy for _, op in group):
        entry["security"] = [{"token": []}]
    bodies = [schema for _, op in group if (schema := schemas.body(op)) is not None]
    if bodies:
        needed = len(bodies) == len(group) and not any(_may_be_null(op.body) for _, op in group)
        entry["requestBody"] = {"required": needed, "content": {media: {"schema": _one_of(bodies)} for media in first.media or (JSON,)}}
    elif first.raw:
        entry["requestBody"] = {"content": {media: {} for media in first.media or ("application/octet-stream",)}}
    return entry


def _summary(operations: list[Operation]) -> str:
    words = list(dict.fromkeys((inspect.getdoc(op.fn) or "").partition("\n")[0] for op in operations))
    return words[0] if len(words) == 1 else "One of: " + " ".join(words)


def _facts(op: Operation) -> Json:
    facts: Json = {"name": op.name, "policy": op.policy}
    if op.action:
        facts["action"] = op.action
    if op.first != FIRST:
        facts["since"] = "{}.{}".format(*op.first)
    if op.last != LAST:
        facts["until"] = "{}.{}".format(*op.last)
    return facts


# -- parameters ----------------------------------------------------------------------------------------------------


def _parameters(path: str, group: list[Declared]) -> list[Json]:
    found = {("path", n): {"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in _NAMED.findall(path)}
    for _, op in group:
        for name, schema in _query(op).items():
            found.setdefault(("query", name), {"name": name, "in": "query", "schema": schema})
    api, first = group[0]
    if api.dialect.picks_fields and first.method == "GET":
        found["query", "fields"] = {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
    if api.dialect.version_service:
        example = "{} {}.{}".format(api.dialect.version_service, *api.high)
        found["header", "version"] = {"name": "OpenStack-API-Version", "in": "header", "schema": {"type": "string"}, "example": example}
    if _keeps_answers(first):
        found["header", "key"] = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
    return list(found.values())


def _keeps_answers(op: Operation) -> bool:
    return op.method == "POST" and op.write and not op.raw and op.policy is not None


def _query(op: Operation) -> Json:
    if op.query is None:
        return {}
    _, components = msgspec.json.schema_components([op.query], schema_hook=_unknown, ref_template=_REF)
    return {name: _told(schema) for name, schema in components[op.query.__name__].get("properties", {}).items()}


def _told(schema: Json) -> Json:
    """A query parameter's schema: it cannot say null, and the default of one that may be left out is no news."""
    schema = {key: value for key, value in schema.items() if key != "default" or value is not None}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        return choices[0] | schema
    return schema | ({"anyOf": choices} if choices else {})


# -- responses -----------------------------------------------------------------------------------------------------


def _responses(group: list[Declared], schemas: Schemas) -> Json:
    answers: dict[int, list[Json | None]] = {}
    errors: set[int] = set()
    for api, op in group:
        for status in op.status.values():
            answers.setdefault(status, []).append(schemas.answer(op))
        errors |= _errors(api, op)
    found = {str(status): _success(possible) for status, possible in sorted(answers.items())}
    if any(_is_response(op.view) for _, op in group):
        found["2XX"] = {"description": "Success"}
    for status in sorted(errors - answers.keys()):
        if status < 400:
            found[str(status)] = {"description": "Success"}
            continue
        api, first = group[0]
        name = "Unauthorized" if status == 401 and first.dialect is None else _fault_name(api, first)
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _fault_name(api: Api, op: Operation) -> str:
    return f"{api.service if op.dialect is None else type(op.dialect).__name__.removesuffix('Dialect')}Fault"


def statuses(api: Api, op: Operation) -> set[int]:
    """Every status of an answer that the document has for an operation."""
    return {*op.status.values(), *_errors(api, op), *(range(200, 300) if _is_response(op.view) else ())}


def _errors(api: Api, op: Operation) -> set[int]:
    """The declared errors, and those that the kernel may answer with by itself."""
    found = {*op.errors, 400}
    if op.policy:
        found |= {401, 403}
    if _NAMED.search(api.paths(op)[0]) or op.policy or op.first != FIRST or op.last != LAST:
        found.add(404)
    if api.dialect.version_service:
        found.add(406)
    if op.method not in ("GET", "HEAD"):
        found.add(413)
    if op.body is not None or op.action is not None or op.media:
        found.add(415)
    return found | ({409} if _keeps_answers(op) else set())


def _success(possible: list[Json | None]) -> Json:
    known = [schema for schema in possible if schema is not None]
    if len(known) < len(possible):
        return {"description": "Success"}
    return {"description": "Success", "content": {JSON: {"schema": _one_of(known)}}}


def _fault(dialect: Dialect) -> Json:
    media, schema = dialect.fault_schema()
    return {"description": "An error, with its reason.", "content": {media: {"schema": schema}}}


# -- types ---------------------------------------------------------------------------------------------------------


def _one_of(schemas: list[Json]) -> Json:
    different = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _item(view: t.Any) -> t.Any:
    """What of a handler's return type has a schema: the items of a page, the body of a reply."""
    if t.get_origin(view) in (Page, Reply):
        return t.get_args(view)[0]
    return None if view in (Page, Reply) or _is_response(view) else view


def _is_response(view: t.Any) -> bool:
    return isinstance(view, type) and view.__module__.startswith("starlette")


def _may_be_null(hint: t.Any) -> bool:
    if t.get_origin(hint) in (list, dict):
        return False
    return hint is t.Any or hint is type(None) or any(_may_be_null(arg) for arg in t.get_args(hint))


def _classes(hint: t.Any) -> t.Iterator[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for inner in t.get_type_hints(hint).values():
            yield from _classes(inner)
    for arg in t.get_args(hint):
        yield from _classes(arg)


def _soften(schema: Json, cls: type) -> None:
    hints = t.get_type_hints(cls, include_extras=True)
    for field in msgspec.structs.fields(cls):
        marks = getattr(hints[field.name], "__metadata__", ())
        if any(isinstance(m, since | until) for m in marks) and field.encode_name in schema.get("required", ()):
            schema["required"] = [name for name in schema["required"] if name != field.encode_name]


def _unknown(cls: type) -> Json:
    return {}


def _number_repeated(paths: dict[str, Json]) -> None:
    """One function may serve several paths; each is an operation of its own, told apart by a number."""
    seen: collections.Counter[str] = collections.Counter()
    for entry in (entry for methods in paths.values() for entry in methods.values()):
        seen[entry["operationId"]] += 1
        if (count := seen[entry["operationId"]]) > 1:
            entry["operationId"] += f".{count}"
