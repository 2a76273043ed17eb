"""The OpenAPI 3.1 document, made from the declarations."""

from __future__ import annotations

import inspect
import re
import typing as t

import msgspec

from .api import FIRST, LAST, Api, Operation
from .versions import since, until
from .wire import Page, Reply

_NAMED = re.compile(r"\{(\w+)(?::path)?\}")


def document(apis: t.Iterable[Api]) -> dict:
    """Every operation of these services. Those that share a method and a path (actions, and versions of one
    operation) are one entry, as OpenAPI has it, with a choice of bodies."""
    apis = list(apis)
    operations = [(api, op) for api in apis for op in api.operations]
    components = _components([op for _, op in operations])
    paths: dict[str, dict] = {}
    for api, op in operations:
        path = _NAMED.sub(r"{\1}", api.paths(op)[0])
        entry = paths.setdefault(path or "/", {})
        _merge(entry.setdefault(op.method.lower(), {}), _entry(api, op, path))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cumulet", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _entry(api: Api, op: Operation, path: str) -> dict:
    entry: dict[str, t.Any] = {
        "operationId": f"{api.service}.{op.name}",
        "summary": (inspect.getdoc(op.fn) or "").partition("\n")[0],
        "tags": [api.service],
        "responses": {str(status): _success(op) for status in op.status.values()},
        "x-operations": [_facts(op)],
    }
    for status in sorted({*op.errors, 400, 401, 403, 404, 406, 413, 415} if op.policy else {*op.errors, 400, 404}):
        entry["responses"].setdefault(str(status), {"description": "Error"})
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in _NAMED.findall(path)]
    if op.query is not None:
        parameters += _query(op)
    if parameters:
        entry["parameters"] = parameters
    if op.policy:
        entry["security"] = [{"token": []}]
    if (body := _body(op)) is not None:
        entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    elif op.raw:
        entry["requestBody"] = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    return entry


def _facts(op: Operation) -> dict:
    facts: dict[str, t.Any] = {"name": op.name, "policy": op.policy}
    if op.action:
        facts["action"] = op.action
    if op.first != FIRST:
        facts["since"] = "{}.{}".format(*op.first)
    if op.last != LAST:
        facts["until"] = "{}.{}".format(*op.last)
    return facts


def _merge(into: dict, entry: dict) -> None:
    if not into:
        into.update(entry)
        return
    into["x-operations"] += entry["x-operations"]
    for status, response in entry["responses"].items():
        if into["responses"].get(status, response) != response:
            response = {"description": "One of several", "content": {"application/json": {"schema": {}}}}
        into["responses"][status] = response
    known = {(p["in"], p["name"]) for p in into.get("parameters", ())}
    into.setdefault("parameters", []).extend(p for p in entry.get("parameters", ()) if (p["in"], p["name"]) not in known)
    if "requestBody" in into and "requestBody" in entry:
        mine = into["requestBody"]["content"].setdefault("application/json", {"schema": {"anyOf": []}})
        other = entry["requestBody"]["content"].get("application/json", {}).get("schema", {})
        if "anyOf" not in mine["schema"] or "x-choice" not in mine["schema"]:
            mine["schema"] = {"anyOf": [mine["schema"]], "x-choice": True}
        mine["schema"]["anyOf"].append(other)


def _success(op: Operation) -> dict:
    view = op.view
    if view is None or view is Reply or not _is_json(view):
        return {"description": "Success"}
    schema: dict = {} if view is Page else _reference(view)
    if op.reply:
        schema = {"type": "object", "properties": {op.reply: schema}, "required": [op.reply]}
    return {"description": "Success", "content": {"application/json": {"schema": schema}}}


def _is_json(view: t.Any) -> bool:
    return not (isinstance(view, type) and view.__module__.startswith("starlette"))


def _body(op: Operation) -> dict | None:
    key = op.action or op.wrap
    if op.body is None:
        return {"type": "object", "properties": {op.action: {}}, "required": [op.action]} if op.action else None
    inner = _reference(op.body)
    return {"type": "object", "properties": {key: inner}, "required": [key]} if key else inner


def _query(op: Operation) -> list[dict]:
    _, defs = msgspec.json.schema_components([op.query], ref_template="#/components/schemas/{name}")
    properties = next(d for d in defs.values() if "properties" in d)["properties"] if defs else {}
    return [{"name": name, "in": "query", "schema": _plain(schema)} for name, schema in properties.items()]


def _plain(schema: dict) -> dict:
    return {k: v for k, v in schema.items() if k != "default"}


def _structs(hint: t.Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return True
    return any(_structs(arg) for arg in t.get_args(hint))


def _reference(hint: t.Any) -> dict:
    (schema,), _ = msgspec.json.schema_components([hint], schema_hook=_unknown, ref_template="#/components/schemas/{name}")
    return schema


def _components(operations: list[Operation]) -> dict:
    """All schemas at their newest. A field that came or went with a microversion is never required."""
    hints = [h for op in operations for h in (op.body, op.view) if h is not None and _structs(h)]
    _, components = msgspec.json.schema_components(hints, schema_hook=_unknown, ref_template="#/components/schemas/{name}")
    for hint in hints:
        for cls in _classes(hint):
            _soften(components.get(cls.__name__) or {}, cls)
    return components


def _classes(hint: t.Any) -> t.Iterator[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for inner in t.get_type_hints(hint).values():
            yield from _classes(inner)
    for arg in t.get_args(hint):
        yield from _classes(arg)


def _soften(schema: dict, cls: type) -> None:
    hints = t.get_type_hints(cls, include_extras=True)
    for field in msgspec.structs.fields(cls):
        marks = getattr(hints[field.name], "__metadata__", ())
        if any(isinstance(m, since | until) for m in marks) and field.encode_name in schema.get("required", ()):
            schema["required"] = [name for name in schema["required"] if name != field.encode_name]


def _unknown(cls: type) -> dict:
    return {}
