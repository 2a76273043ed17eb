"""Types of fields that many of block storage's bodies share, and how moments and links are printed."""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec

from ..kernel.http import UNSET, BadRequest, Request

INT_MAX = 2147483647
PLAIN = r"^[^\x00]*$"
"""PostgreSQL keeps no NUL in a text."""

Text = t.Annotated[str, msgspec.Meta(max_length=255, pattern=PLAIN)]
Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*\S[^\x00]*$")]
Id = t.Annotated[str, msgspec.Meta(max_length=255, pattern=PLAIN)]
"""What names a thing: one that is no UUID is simply not found."""
Key = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=PLAIN)]
Metadata = dict[Key, Text]
Truth = bool | t.Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
                         "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]  # fmt: skip
TRUE = ("true", "1", "on", "yes", "t", "y")


def wire(name: str, default: t.Any = msgspec.NODEFAULT) -> t.Any:
    """A field whose name on the wire is not a Python name of ours."""
    return msgspec.field(name=name, default=default)


def truth(value: bool | str | None) -> bool:
    return value.lower() in TRUE if isinstance(value, str) else bool(value)


def number(field: str, value: int | str, least: int = 1) -> int:
    """A number that may have come as text. Raises BadRequest outside of `least` to 2147483647."""
    try:
        found = int(value)
    except ValueError:
        raise BadRequest(f"Invalid input for field/attribute {field}. Value: {value}. It is not an integer") from None
    if not least <= found <= INT_MAX:
        raise BadRequest(f"Invalid input for field/attribute {field}. Value: {value}. It must be from {least} to {INT_MAX}.")
    return found


def given(*values: str | None) -> str | None:
    """The first that is not null: clients call a thing's name `name` or, as of old, `display_name`."""
    return next((value for value in values if value is not None), None)


def renamed(body: t.Any) -> dict[str, t.Any]:
    """The columns that a body changes of a thing's name and description, by either of their names; the newer one counts."""
    pairs = {"name": (body.name, body.display_name), "description": (body.description, body.display_description)}
    named = {column: next((value for value in values if value is not UNSET), UNSET) for column, values in pairs.items()}
    return {column: value for column, value in named.items() if value is not UNSET}


def check_one_key(body: dict, key: str) -> None:
    """Raise BadRequest where a body does not hold the key in its path, and only that."""
    if list(body) != [key]:
        raise BadRequest(f"Request body and URI mismatch: the body must hold {key}, and only that.")


def moment(value: dt.datetime | None) -> str | None:
    """A moment as block storage prints it: microseconds, no zone."""
    return None if value is None else value.isoformat(timespec="microseconds")


def links(request: Request, collection: str, id: str) -> list[dict[str, str]]:
    """A resource's own address, and its address without a version."""
    path = f"{request.context.project_id}/{collection}/{id}"
    return [{"rel": "self", "href": f"{request.base}/v3/{path}"}, {"rel": "bookmark", "href": f"{request.base}/{path}"}]
