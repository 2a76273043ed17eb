"""Reading what clients send to the network API: one resource or many, in the words of its own faults."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.http import BadRequest

Json = dict[str, t.Any]
Loaded = t.TypeVar("Loaded", bound=msgspec.Struct)

Text = t.Annotated[str, msgspec.Meta(max_length=255)]
"""A name, a description."""
ProjectId = t.Annotated[str, msgspec.Meta(max_length=64)]
Id = t.Annotated[str, msgspec.Meta(max_length=64)]
Ip = t.Annotated[str, msgspec.Meta(max_length=64)]
"""An address, or a prefix; that it is one is checked by `ipam`."""
Count = t.Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
MOST_AT_ONCE = 500
_START = "`$"


class Attributes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A resource in a request. Every field that may be left out defaults to UNSET, so that a field that is not
    there is told from one that is null."""

    def given(self) -> Json:
        """The fields that the request has, by the names of the struct."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not msgspec.UNSET}


def invalid(text: str) -> BadRequest:
    """A refusal in the words of the real service."""
    return BadRequest(f"Invalid input for operation: {text}.", kind="InvalidInput")


def one(body: Json, key: str, cls: type[Loaded]) -> Loaded:
    """The resource under `key`. Raises BadRequest that names the attribute and what is wrong with it."""
    if not isinstance(body.get(key), dict):
        raise BadRequest(f"Unable to find '{key}' in request body", kind="HTTPBadRequest")
    if extra := sorted(set(body) - {key}):
        raise BadRequest(f"Unrecognized attribute(s) '{', '.join(extra)}'", kind="HTTPBadRequest")
    return load(body[key], cls)


def one_or_many(body: Json, key: str, plural: str, cls: type[Loaded]) -> list[Loaded]:
    """The resource under `key`, or all those under `plural`; a body has either."""
    if plural not in body:
        return [one(body, key, cls)]
    items = body[plural]
    if not isinstance(items, list) or not items:
        raise BadRequest("Resources required", kind="HTTPBadRequest")
    if len(items) > MOST_AT_ONCE:
        raise BadRequest(f"{len(items)} {plural} in one request; at most {MOST_AT_ONCE} are taken.")
    return [load(item, cls) for item in items]


def answer(body: Json, key: str, plural: str, views: list) -> Json:
    """The created resources' views in the form that the request had."""
    return {plural: views} if plural in body else {key: views[0]}


def load(data: t.Any, cls: type[Loaded]) -> Loaded:
    """Check and convert a resource. As the real service, takes numbers and truth values written as text."""
    try:
        return msgspec.convert(data, cls, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(_explain(str(error)), kind="HTTPBadRequest") from None


def _explain(message: str) -> str:
    text, _, at = message.partition(f" - at {_START}")
    where = at.rstrip("`").lstrip(".")
    if text.startswith("Object contains unknown field"):
        return f"Unrecognized attribute(s) '{text.split('`')[1]}'" + (f" in {where}" if where else "")
    if text.startswith("Object missing required field"):
        return f"Failed to parse request. Required attribute '{text.split('`')[1]}' not specified" + (f" in {where}" if where else "")
    return f"Invalid input for {where or 'the resource'}. Reason: {text}."
