"""The structs that cross the wire, and the decoding of what clients send into them."""

from __future__ import annotations

import typing as t

import msgspec

from ..errors import BadRequest
from .versions import Version, first_absent, shape, struct_in

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request's body. A field absent from the request is UNSET where null means something else."""


class OpenBody(msgspec.Struct, kw_only=True):
    """A request's body in an API that ignores what it does not know."""


class Query(msgspec.Struct, kw_only=True):
    """A request's query. A field typed as a list takes a repeated parameter; others take the last value."""


class View(msgspec.Struct, kw_only=True):
    """A response's body; a field that is UNSET is left out."""


class Page(t.NamedTuple):
    """One page of a list: the views, and the marker that the next page starts after (None: this is the last)."""

    items: list
    marker: str | None = None
    extra: dict | None = None


class Reply(t.NamedTuple):
    """An answer that says more than its body."""

    body: t.Any = None
    status: int | None = None
    headers: dict[str, str] | None = None


Loaded = t.TypeVar("Loaded")


def load(data: t.Any, cls: type[Loaded], at: Version, path: str = "") -> Loaded:
    """Check and convert decoded JSON. Raises BadRequest that names the field."""
    struct = struct_in(cls)
    if newer := first_absent(data, shape(struct, at) if struct else None, path):
        raise BadRequest(
            f"Invalid input for field/attribute {newer}: Additional properties are not allowed "
            f"('{newer.rsplit('.', 1)[-1]}' was unexpected)"
        )
    try:
        return msgspec.convert(data, cls)
    except msgspec.ValidationError as error:
        raise BadRequest(explain(error, path)) from None


def explain(error: msgspec.ValidationError, path: str) -> str:
    """msgspec's message with the field named as the client wrote it."""
    text, _, at = str(error).partition(" - at `$")
    where = (path + at.rstrip("`")).lstrip(".")
    if text.startswith("Object contains unknown field"):
        name = text.split("`")[1]
        return f"Invalid input: Additional properties are not allowed ('{name}' was unexpected){f' in {where}' if where else ''}"
    return f"Invalid input for field/attribute {where or 'body'}: {text}"


def load_query(pairs: list[tuple[str, str]], cls: type[Loaded]) -> Loaded:
    """Check and convert a query string's pairs. Raises BadRequest that names the parameter."""
    lists = _list_fields(cls)
    data: dict[str, t.Any] = {}
    for key, value in pairs:
        if key in lists:
            data.setdefault(key, []).append(value)
        else:
            data[key] = value
    try:
        return msgspec.convert(data, cls, strict=False)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `$.")
        raise BadRequest(f"Invalid input for query parameters {at.rstrip('`')}: {text}") from None


def decode(raw: bytes) -> t.Any:
    """JSON, or BadRequest that says where it breaks. An empty body is None."""
    if not raw.strip():
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"Malformed request body: {error}") from None


_lists: dict[type, frozenset[str]] = {}


def _list_fields(cls: type) -> frozenset[str]:
    if cls not in _lists:
        hints = t.get_type_hints(cls)
        _lists[cls] = frozenset(
            f.encode_name for f in msgspec.structs.fields(cls) if _has_list(hints[f.name])
        )
    return _lists[cls]


def _has_list(hint: t.Any) -> bool:
    return t.get_origin(hint) is list or any(_has_list(arg) for arg in t.get_args(hint))
