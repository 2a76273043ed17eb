"""Changing images by JSON patch (RFC 6902: add, replace, remove), and the states an administrator sets."""

from __future__ import annotations

import re
import typing as t

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Conflict, Forbidden, Request
from . import api, placing, policy
from .attributes import BASE, READ_ONLY, checked, limited, may_become, refuse_reserved
from .images import images, views, visible
from .protections import guard

MEDIA = ("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch", "application/json-patch+json")
VERBS = ("add", "replace", "remove")
OLDEST = MEDIA[1]
"""In which an operation's verb is a member of its own, whose value is the path."""
_ESCAPE = re.compile(r"~(?![01])")


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("PATCH", "/images/{id}", policy=policy.MODIFY, target=_target, errors=(403, 404, 409, 413), media=MEDIA)
def update(tx: Tx, request: Request, id: str, body: list | dict) -> dict:
    """Change an image's attributes and properties, by a list of operations; all of them happen or none."""
    if not isinstance(body, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    patch = _Patch(request, visible(tx, request, id))
    for operation in [_parts(one, old=request.media == OLDEST) for one in body]:
        if operation.name == "locations":
            patch.row = placing.place(tx, request, _kept(tx, patch), operation.op, operation.at, operation.value)
        else:
            patch.apply(operation.op, operation.name, operation.value)
    limited("properties", len(patch.properties))
    return views(tx, request, [_kept(tx, patch)])[0]


@api.op("POST", "/images/{id}/actions/deactivate", policy=policy.DEACTIVATE, target=_target, status=204, errors=(403, 404))
def deactivate(tx: Tx, request: Request, id: str) -> None:
    """Keep an image's data from being downloaded."""
    _turn(tx, visible(tx, request, id), "deactivated")


@api.op("POST", "/images/{id}/actions/reactivate", policy=policy.REACTIVATE, target=_target, status=204, errors=(403, 404))
def reactivate(tx: Tx, request: Request, id: str) -> None:
    """Let an image's data be downloaded again."""
    _turn(tx, visible(tx, request, id), "active")


def _turn(tx: Tx, row: Row, status: str) -> None:
    if row.status not in ("active", "deactivated"):
        raise Forbidden(f"Not allowed to {'de' if status == 'deactivated' else 're'}activate image in status '{row.status}'")
    tx.update(images, row.id, status=status)


def _kept(tx: Tx, patch: _Patch) -> Row:
    """The image, with what a patch made of it so far."""
    if patch.values:
        tx.update(images, patch.row.id, **patch.values)
        patch.values = {}
    return tx.one(images, id=patch.row.id)


class _Operation(t.NamedTuple):
    """`at` is what a pointer names within an attribute that is a list."""

    op: str
    name: str
    at: str | None
    value: t.Any


class _Patch:
    """What a list of operations makes of a row."""

    def __init__(self, request: Request, row: Row):
        self.request, self.row = request, row
        self.guard = guard(request)
        self.properties = dict(self.guard.readable(row.properties))
        self.values: dict[str, t.Any] = {}

    def apply(self, op: str, name: str, value: t.Any) -> None:
        if name in READ_ONLY or name == "id":
            raise Forbidden(f"Attribute '{name}' is read-only.")
        refuse_reserved(name)
        if op == "remove":
            self._remove(name)
        elif name in BASE or name == "tags":
            self._set(name, checked(name, value))
        else:
            if op == "replace" and name not in self.properties:
                raise Conflict(f"Property {name} does not exist.")
            self.guard.check("update" if name in self.properties else "create", name)
            self.properties[name] = checked(name, value)
            self._keep_properties()

    def _set(self, name: str, value: t.Any) -> None:
        if name in ("disk_format", "container_format") and self.row.status != "queued":
            raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")
        if name == "visibility" and value != self.row.visibility:
            may_become(self.request, value, self.row.owner)
        if name == "owner" and not self.request.context.is_admin:
            raise Forbidden("You are not permitted to modify 'owner' on this image.")
        self.values[name] = value

    def _remove(self, name: str) -> None:
        if name in BASE or name == "tags":
            raise Forbidden(f"Property {name} may not be removed.")
        elif name not in self.properties:
            raise Conflict(f"Property {name} does not exist.")
        else:
            self.guard.check("delete", name)
            del self.properties[name]
            self._keep_properties()

    def _keep_properties(self) -> None:
        """Those that the caller cannot see stay."""
        row = self.row.properties
        self.values["properties"] = {name: row[name] for name in row if not self.guard.allows("read", name)} | self.properties


def _parts(operation: t.Any, *, old: bool) -> _Operation:
    """Raises BadRequest."""
    if not isinstance(operation, dict):
        raise BadRequest("Operations must be JSON objects.")
    op, path = _old(operation) if old else _new(operation)
    name, at = _name(op, path)
    if op != "remove" and "value" not in operation:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    return _Operation(op, name, at, operation.get("value"))


def _old(operation: dict) -> tuple[str, t.Any]:
    verbs = [verb for verb in VERBS if verb in operation]
    if len(verbs) > 1:
        raise BadRequest('Operation objects must contain only one member named "add", "remove", or "replace".')
    if not verbs:
        raise BadRequest('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return verbs[0], operation[verbs[0]]


def _new(operation: dict) -> tuple[str, t.Any]:
    op = operation.get("op")
    if op is None:
        raise BadRequest("Unable to find `op` in JSON Schema change. It must be one of the following: add, remove, replace.")
    if op not in VERBS:
        raise BadRequest(f"Invalid operation: `{op}`. It must be one of the following: add, remove, replace.")
    if operation.get("path") is None:
        raise BadRequest("Unable to find 'path' in JSON Schema change")
    return op, operation["path"]


def _name(op: str, path: t.Any) -> tuple[str, str | None]:
    """What a JSON pointer (RFC 6901) to a member of an image names, and within it. Raises BadRequest."""
    if not isinstance(path, str):
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path}'")
    if not path.startswith("/"):
        raise BadRequest(f'Pointer `{path}` does not start with "/".')
    if path.endswith("/") and path != "/":
        raise BadRequest(f'Pointer `{path}` end with "/".')
    if _ESCAPE.search(path):
        raise BadRequest(f'Pointer `{path}` contains "~" not part of a recognized escape sequence.')
    name, slash, at = path[1:].partition("/")
    if "/" in at or bool(slash) != (name == "locations" and op != "replace"):
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path}'")
    return name.replace("~1", "/").replace("~0", "~"), at or None
