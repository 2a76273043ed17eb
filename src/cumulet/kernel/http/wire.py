"""The structs that cross the wire, and the decoding of what clients send into them."""

from __future__ import annotations

import math
import typing as t
from urllib.parse import parse_qsl

import msgspec

from ..errors import BadRequest
from .versions import Version, first_absent, shape, struct_in

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType
TERMS = 500
"""The most values in a query, those with commas between them counted one by one."""
FORM = "application/x-www-form-urlencoded"
DEPTH = 64
"""The most levels of a body's JSON."""


class _Untold(msgspec.Struct):
    """What a client sent may be a secret, so what it is shown as says nothing of it: logs and errors show things."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        """Raise for what an API refuses in words of its own: the body's types are looked at after that."""


class Body(_Untold, forbid_unknown_fields=True, kw_only=True):
    """A request's body. A field absent from the request is UNSET where null means something else."""


class OpenBody(_Untold, kw_only=True):
    """A request's body in an API that ignores what it does not know."""


class Query(msgspec.Struct, kw_only=True):
    """A request's query. A field typed as a list takes a repeated parameter; others take the last value."""


class View(msgspec.Struct, kw_only=True):
    """A response's body; a field that is UNSET is left out."""


Item = t.TypeVar("Item")


class Page(t.NamedTuple, t.Generic[Item]):
    """One page of a list: the views, and the marker that the next page starts after (None: this is the last).
    `Page[Keypair]` puts the items' type into the OpenAPI document."""

    items: list[Item]
    marker: str | None = None
    extra: dict | None = None


class Reply(t.NamedTuple, t.Generic[Item]):
    """An answer that says more than its body, whose type the OpenAPI document has from `Reply[Keypair]`. A body that is raw is
    the whole answer as JSON already."""

    body: Item | msgspec.Raw | None = None
    status: int | None = None
    headers: dict[str, str] | None = None


Loaded = t.TypeVar("Loaded")


def load(data: t.Any, cls: type[Loaded], at: Version, path: str = "") -> Loaded:
    """Check and convert decoded JSON. Raises BadRequest that names the field."""
    if isinstance(cls, type) and issubclass(cls, _Untold):
        cls.refuse(data)
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
    text, _, at = str(error).replace(" - at `key` in `$", " in a name - at `$").partition(" - at `$")
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
        loaded = msgspec.convert(data, cls, strict=False)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `$.")
        raise BadRequest(f"Invalid input for query parameters {at.rstrip('`')}: {text}") from None
    asked = {name: value for name, value in msgspec.to_builtins(loaded).items() if name in data}
    refuse_unstorable(asked, "query parameters ")
    return loaded


def check_query(pairs: list[tuple[str, str]]) -> None:
    """Raise BadRequest for a query with a NUL character, which no database keeps, or of more than `TERMS` values: each may be a
    condition, and SQLite takes a thousand."""
    if len(pairs) + sum(value.count(",") for _, value in pairs) > TERMS:
        raise BadRequest(f"Invalid input for query parameters: there are more than {TERMS} values")
    for key, value in pairs:
        if "\0" in key or "\0" in value:
            raise BadRequest(f"Invalid input for query parameters {_printable(key)}: it has a NUL character")


def decode(raw: bytes) -> t.Any:
    """JSON that can be kept (see `refuse_unstorable`), or BadRequest that says where it breaks. An empty body is None."""
    if not raw.strip():
        return None
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"Malformed request body: {error}") from None
    refuse_unstorable(data, "field/attribute ")
    return data


def decode_form(raw: bytes) -> dict[str, str]:
    """The fields of a form; of one that is there twice the first. Raises BadRequest."""
    try:
        fields = dict(reversed(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=100)))
    except ValueError as error:
        raise BadRequest(f"Malformed request body: {error}") from None
    refuse_unstorable(fields, "field/attribute ")
    return fields


def refuse_unstorable(data: t.Any, what: str) -> None:
    """Raise BadRequest for a NUL character, an integer of more than 64 bits, a number that is none, or nesting deeper
    than `DEPTH`, wherever it is in JSON values: what databases refuse to keep."""
    left: list[tuple[t.Any, str, int]] = [(data, "", 0)]
    while left:
        value, path, depth = left.pop()
        if problem := _problem(value, depth):
            raise BadRequest(f"Invalid input for {what}{path.lstrip('.') or 'body'}: {problem}")
        if isinstance(value, dict):
            for key, inner in value.items():
                left += ((key, f"{path}.{_printable(key)}", depth), (inner, f"{path}.{_printable(key)}", depth + 1))
        elif isinstance(value, list):
            left += ((inner, f"{path}[{i}]", depth + 1) for i, inner in enumerate(value))


def _problem(value: t.Any, depth: int) -> str | None:
    if isinstance(value, str):
        return "it has a NUL character" if "\0" in value else None
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "it is an integer of more than 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "it is not a finite number"
    return f"it is nested deeper than {DEPTH} levels" if depth > DEPTH else None


def _printable(name: str) -> str:
    return name[:80].replace("\0", "\\0")


_lists: dict[type, frozenset[str]] = {}


def _list_fields(cls: type) -> frozenset[str]:
    if cls not in _lists:
        hints = t.get_type_hints(cls)
        _lists[cls] = frozenset(f.encode_name for f in msgspec.structs.fields(cls) if _has_list(hints[f.name]))
    return _lists[cls]


def _has_list(hint: t.Any) -> bool:
    return t.get_origin(hint) is list or any(_has_list(arg) for arg in t.get_args(hint))
