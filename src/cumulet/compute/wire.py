"""Types of fields that many of compute's bodies share: numbers and truths that may come as text, names, moments, links."""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.http import BadRequest, Request

INT_MAX = 2147483647
NAME = r"^(?!\s)[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f]$"
PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"

Natural = t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | t.Annotated[str, msgspec.Meta(pattern=r"^\d{1,10}$")]
Positive = t.Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)] | t.Annotated[str, msgspec.Meta(pattern=r"^\d{1,10}$")]
Limit = t.Annotated[int, msgspec.Meta(ge=-1, le=INT_MAX)] | t.Annotated[str, msgspec.Meta(pattern=r"^-?\d{1,10}$")]
Truth = bool | t.Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
                         "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]  # fmt: skip
Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=NAME)]
Metadata = dict[
    t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]+$")],
    t.Annotated[str, msgspec.Meta(max_length=255, pattern=PRINTABLE)] | None,
]


def truth(value: bool | str) -> bool:
    return value if isinstance(value, bool) else value.lower() in ("true", "1", "on", "yes")


def number(field: str, value: int | str, least: int = 0) -> int:
    """A number that may have come as text. Raises BadRequest outside of `least` to 2147483647."""
    if not least <= (found := int(value)) <= INT_MAX:
        raise BadRequest(f"Invalid input for field/attribute {field}. Value: {value}. It must be from {least} to {INT_MAX}.")
    return found


def moment(name: str, text: str) -> dt.datetime:
    """The moment that a query parameter names; a plus that became a space in the address is one again. Raises BadRequest."""
    try:
        return clock.parse(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {text}. It is not a 'date-time'") from None


def changed_between(changed: sa.ColumnElement, since: str | None, before: str | None) -> t.Iterator[sa.ColumnElement[bool]]:
    """What `changes-since` and `changes-before` let through, by when something changed. Raises BadRequest."""
    after, until = since and moment("changes-since", since), before and moment("changes-before", before)
    if after and until and until < after:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    if after:
        yield changed >= after
    if until:
        yield changed <= until


def links(request: Request, collection: str, id: str) -> list[dict[str, str]]:
    """A resource's own address, and its address without a version."""
    return [
        {"rel": "self", "href": f"{request.base}/v2.1/{collection}/{id}"},
        {"rel": "bookmark", "href": f"{request.base}/{collection}/{id}"},
    ]
