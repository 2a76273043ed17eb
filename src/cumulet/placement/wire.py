"""What placement's operations share: types of names and ids, dated answers, parsing of the filters in queries."""

from __future__ import annotations

import datetime as dt
import email.utils
import typing as t
import uuid

import msgspec
import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict, NotFound
from ..kernel.http import Reply, Request
from .model import INT_MAX
from .standard import CLASSES, TRAITS
from .tables import custom_classes, custom_traits, providers

CONCURRENT = "placement.concurrent_update"
BAD_VALUE = "placement.query.bad_value"
NOT_FOUND = "placement.resource_provider.not_found"

Generation = t.Annotated[int, msgspec.Meta(ge=-INT_MAX, le=INT_MAX)]
Amount = t.Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)]
Uuid = t.Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
LooseUuid = t.Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]
ClassName = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[A-Z0-9_]+$")]
CustomName = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^CUSTOM_[A-Z0-9_]+$")]
Owner = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]

# -- answers -------------------------------------------------------------------------------------------------------


def dated(request: Request, body: t.Any = None, rows: t.Iterable[Row] = (), *, status: int | None = None,
          headers: dict[str, str] | None = None, since: tuple[int, int] = (1, 15)) -> Reply:  # fmt: skip
    """An answer with, from 1.15 on, when what it tells of changed last: the newest of `rows`, or now."""
    headers = dict(headers or {})
    if request.version >= since:
        moments = [row.updated_at or row.created_at for row in rows]
        last = max(moments, default=clock.now()).replace(tzinfo=dt.UTC)
        headers |= {"Last-Modified": email.utils.format_datetime(last, usegmt=True), "Cache-Control": "no-cache"}
    return Reply(body, status, headers)


def find(tx: Tx, id: str) -> Row:
    """A resource provider's row. Raises NotFound."""
    row = tx.get(providers, id=plain(id)) if ids.is_uuid(id) else None
    if row is None:
        raise NotFound(f"No resource provider with uuid {id} found", kind=NOT_FOUND)
    return row


def plain(id: str) -> str:
    """A UUID as it is kept: small letters, dashes."""
    return str(uuid.UUID(id))


def check_generation(row: Row, given: int) -> None:
    """Raise Conflict where the provider changed since the client read it."""
    if row.generation != given:
        raise Conflict(f"resource provider generation conflict: {row.id} is at generation {row.generation}, not {given}", kind=CONCURRENT)


# -- names ---------------------------------------------------------------------------------------------------------


def unknown_classes(tx: Tx, names: t.Collection[str]) -> list[str]:
    """Those of the names that are no resource class."""
    return _unknown(tx, set(names) - set(CLASSES), custom_classes)


def unknown_traits(tx: Tx, names: t.Collection[str]) -> list[str]:
    """Those of the names that are no trait."""
    return _unknown(tx, set(names) - TRAITS, custom_traits)


def _unknown(tx: Tx, custom: set[str], table: sa.Table) -> list[str]:
    if not custom:
        return []
    askable = {name for name in custom if "\x00" not in name}
    known = set(tx.execute(sa.select(table.c.name).where(table.c.name.in_(askable))).scalars())
    return sorted(custom - known)


# -- queries -------------------------------------------------------------------------------------------------------


def only_known(request: Request, known: t.Collection[str]) -> None:
    """Raise BadRequest for a query parameter that there is not at this microversion."""
    for name, value in request.query:
        if name not in known:
            raise BadRequest(f"Invalid query string parameters: Additional properties are not allowed ({name!r} was unexpected)")
        if "\x00" in value:
            raise BadRequest(f"Invalid query string parameters: {name} must not have NUL characters.")


def values(request: Request, name: str) -> list[str]:
    return [value for key, value in request.query if key == name]


def resources(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:1024` as a mapping."""
    found = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or ":" in amount:
            raise BadRequest(
                "Badly formed resources parameter. Expected resources query string parameter in form: "
                f"?resources=VCPU:2,MEMORY_MB:1024. Got: {part or 'empty string'}."
            )
        if not amount.isdecimal() or len(amount) > 10:
            raise BadRequest(f"Requested resource {name} expected positive integer amount. Got: {amount[:40]}.")
        if not 1 <= int(amount) <= INT_MAX:
            raise BadRequest(f"Requested resource {name} requires amount >= 1. Got: {int(amount)}.")
        found[name] = int(amount)
    return found


def traits(request: Request, name: str) -> tuple[list[frozenset[str]], frozenset[str]]:
    """What `required` asks: sets of which one trait each must be there, and the traits that must not."""
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    asked = values(request, name)
    for text in asked if request.version >= (1, 39) else asked[-1:]:
        if text.startswith("in:") and request.version < (1, 39):
            raise BadRequest(
                "Invalid query string parameters: The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since "
                f"microversion 1.39. Got: {text}"
            )
        any_of = text.startswith("in:")
        words = [word.strip() for word in text.removeprefix("in:").split(",")]
        refused = [word for word in words if word.startswith("!")]
        if not all(word.lstrip("!") for word in words) or (refused and (any_of or request.version < (1, 22))):
            form = "HW_CPU_X86_VMX,CUSTOM_MAGIC" if request.version < (1, 22) else "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
            raise BadRequest(
                f"Invalid query string parameters: Expected 'required' parameter value of the form: "
                f"{'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' if any_of else form}. Got: {text}"
            )
        required += [frozenset(words)] if any_of else [frozenset({word}) for word in words if word not in refused]
        forbidden |= {word.lstrip("!") for word in refused}
    return required, frozenset(forbidden)


def member_of(request: Request, name: str) -> tuple[list[frozenset[str]], frozenset[str]]:
    """What `member_of` asks: sets of aggregates of which one each is needed, and the aggregates that must not be."""
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    asked = values(request, name)
    if len(asked) > 1 and request.version < (1, 24):
        raise BadRequest(f"Multiple {name} parameters are not supported")
    for text in asked:
        refuse, rest = text.startswith("!"), text.removeprefix("!")
        if "," in rest and not rest.startswith("in:"):
            raise BadRequest(
                "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
                f"microversion. Got: {text}"
            )
        if refuse and request.version < (1, 32):
            raise BadRequest(f"Forbidden {name} parameters are not supported in the specified microversion")
        listed = rest.removeprefix("in:").split(",")
        if (bad := next((id for id in listed if not ids.is_uuid(id)), None)) is not None:
            raise BadRequest(f"Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: {bad}")
        named = frozenset(plain(id) for id in listed)
        if refuse:
            forbidden |= named
        else:
            required.append(named)
    return required, frozenset(forbidden)


def in_tree(request: Request, name: str) -> str | None:
    """The provider whose tree is asked for."""
    asked = values(request, name)
    if not asked:
        return None
    if not ids.is_uuid(asked[-1].strip()):
        raise BadRequest(
            f"Invalid query string parameters: Expected '{name}' parameter to be a format of uuid. Got: {asked[-1]}",
        )
    return plain(asked[-1].strip())
