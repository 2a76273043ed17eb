"""What an image may be given: attributes with their types, properties of any name, and what nobody sets by hand."""

from __future__ import annotations

import typing as t

from ..kernel import ids
from ..kernel.http import BadRequest, Forbidden, Request, TooLarge
from . import policy
from .protections import guard
from .shapes import IMAGE, UUID, check

BASE = ("id", "name", "owner", "status", "visibility", "protected", "os_hidden", "disk_format", "container_format", "min_disk",
        "min_ram", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")  # fmt: skip
READ_ONLY = {"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
             "os_hash_algo", "os_hash_value", "stores"}  # fmt: skip
RESERVED = ("location", "locations", "deleted", "deleted_at")
RESERVED_PREFIX = "os_glance"
MOST = 128
"""Properties, tags and members of an image."""
INT_MAX = 2**31 - 1


def checked(name: str, value: t.Any) -> t.Any:
    """A value that an image's attribute or property may have. Raises BadRequest, Forbidden for what is read-only."""
    _refuse_unsettable(name)
    check({name: value}, IMAGE)
    return _further_checked(name, value)


def refuse_reserved(name: str) -> None:
    """Raise Forbidden for what is the service's own to set, and to take away."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def new_values(request: Request, body: dict) -> dict[str, t.Any]:
    """The row of an image to be. Raises BadRequest, Forbidden."""
    check(body, IMAGE)
    values: dict[str, t.Any] = {"properties": {}, "tags": []}
    for name, value in body.items():
        _refuse_unsettable(name)
        value = _further_checked(name, value)
        if name in IMAGE["properties"]:
            values[name] = value
        else:
            values["properties"][name] = value
    guard(request).check("create", *values["properties"])
    limited("properties", len(values["properties"]))
    values.setdefault("visibility", "shared")
    may_become(request, values["visibility"], values.get("owner", request.context.project_id))
    owner = values.setdefault("owner", request.context.project_id)
    if owner != request.context.project_id and not request.context.is_admin:
        raise Forbidden("You are not permitted to create images owned by another project.")
    return {"name": None, "status": "queued"} | values


def limited(what: str, attempted: int, *, most: int = MOST, told: str = "{}") -> None:
    """Raise TooLarge where an image would have more of something than it may. told: what is said round it."""
    if attempted > most:
        raise TooLarge(
            told.format(f"The limit has been exceeded on the number of allowed image {what}. Attempted: {attempted}, Maximum: {most}")
        )


def may_become(request: Request, visibility: str, owner: str | None) -> None:
    """Whether the caller may give an image a visibility. Raises Forbidden."""
    target = {"project_id": owner, "owner": owner}
    if visibility == "public":
        request.enforce(policy.PUBLICIZE, target)
    if visibility == "community":
        request.enforce(policy.COMMUNITIZE, target)


def _refuse_unsettable(name: str) -> None:
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    refuse_reserved(name)


def _further_checked(name: str, value: t.Any) -> t.Any:
    """By what the schema does not say."""
    return _OWN.get(name, _plain if name in IMAGE["properties"] else _property)(name, value)


def _plain(name: str, value: t.Any) -> t.Any:
    return value


def _amount(name: str, value: int) -> int:
    if value < 0:
        raise BadRequest(f"Invalid value '{value}' for parameter '{name}': Cannot be a negative value")
    if value > INT_MAX:
        raise BadRequest(f"'{name}' value out of range, must not exceed {INT_MAX}.")
    return int(value)


def _id(name: str, value: str) -> str:
    if not ids.is_uuid(value) or "-" not in value:
        raise BadRequest(f"Provided object does not match schema 'image': {value!r} does not match '{UUID}' (instance['id'])")
    return value


def _tags(name: str, value: list[str]) -> list[str]:
    limited("tags", len(value))
    return sorted(set(value))


def _property(name: str, value: str) -> str:
    if len(name) > 255:
        raise BadRequest("Custom property should not be greater than 255 characters.")
    if len(value) > 65535:
        raise BadRequest(f"Invalid image data: property {name} must be text of at most 65535 characters.")
    return value


_OWN: dict[str, t.Callable[[str, t.Any], t.Any]] = {"id": _id, "min_disk": _amount, "min_ram": _amount, "tags": _tags}
"""What the schema does not say of values."""
