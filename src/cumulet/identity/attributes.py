"""Bodies in which a client may put attributes of its own: those are checked, kept and shown beside the known ones."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.errors import BadRequest, Forbidden
from ..kernel.http import wire

Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\S")]
ShortName = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\S")]
Id = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+$")]
Text = t.Annotated[str, msgspec.Meta(max_length=65535)]

Fields = t.TypeVar("Fields", bound=msgspec.Struct)
_NOT_KEPT = {"id", "links"}


def taken(body: dict[str, t.Any], cls: type[Fields], path: str) -> tuple[Fields, dict[str, t.Any]]:
    """A body's known attributes, checked, and the others. Raises BadRequest that names the attribute."""
    _refuse_nul(body, path)
    known = {field.encode_name for field in msgspec.structs.fields(cls)} | _NOT_KEPT
    return wire.load(body, cls, (0, 0), path), {name: value for name, value in body.items() if name not in known}


def given(fields: msgspec.Struct, *but: str) -> dict[str, t.Any]:
    """The attributes that the client sent, save those named."""
    return {name: value for name in fields.__struct_fields__ if name not in but and (value := getattr(fields, name)) is not wire.UNSET}


def same_id(body: dict[str, t.Any], id: str, named: str = "ID") -> None:
    """An update may repeat the id, and not change it."""
    if body.get("id", id) != id:
        raise BadRequest(f"Cannot change {named}")


def something(body: dict[str, t.Any], kind: str) -> None:
    """An update changes something. Raises BadRequest."""
    if not body:
        raise BadRequest(f"Invalid input for field/attribute {kind}: it has nothing that is to change")


def check_chosen_id(id: str) -> None:
    """Raise BadRequest where the id that a client chose for what it creates is longer than ids may be."""
    if len(id) > 64:
        raise BadRequest(f"Invalid input for field/attribute id: {id!r} is too long: ids have at most 64 characters")


def refuse_immutable(options: dict, new: t.Any, id: str, kind: str, verb: str = "update") -> None:
    """Raise Forbidden where the resource is marked immutable, unless this takes the mark off."""
    if options.get("immutable") and not (isinstance(new, dict) and new.get("immutable") in (False, None) and "immutable" in new):
        raise Forbidden(f'Unable to {verb} immutable {kind} resource: `{id}. Set resource option "immutable" to false first.')


def expecting(attribute: str, target: str) -> BadRequest:
    """What the service says of a request that lacks something, or names something that is not there."""
    return BadRequest(
        f"Expecting to find {attribute} in {target}. The server could not comply with the request since it is either "
        "malformed or otherwise incorrect. The client is assumed to be in error."
    )


def _refuse_nul(value: t.Any, path: str) -> None:
    """PostgreSQL holds no NUL character in a text."""
    if isinstance(value, str):
        if "\0" in value:
            raise BadRequest(f"Invalid input for field/attribute {path}: NUL characters are not allowed")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_nul(name, path)
            _refuse_nul(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _refuse_nul(inner, f"{path}[{i}]")
