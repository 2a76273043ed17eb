"""What an image may be given: attributes with their types, properties of any name, and what nobody sets by hand."""

from __future__ import annotations

import typing as t

from ..kernel import ids
from ..kernel.http import BadRequest, Forbidden, Request, TooLarge
from . import policy
from .protections import guard

BASE = ("id", "name", "owner", "status", "visibility", "protected", "os_hidden", "disk_format", "container_format", "min_disk",
        "min_ram", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")  # fmt: skip
READ_ONLY = {"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
             "os_hash_algo", "os_hash_value", "stores"}  # fmt: skip
RESERVED = ("location", "locations", "deleted", "deleted_at")
RESERVED_PREFIX = "os_glance"
MOST = 128
"""Properties, tags and members of an image."""
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("community", "public", "private", "shared")
INT_MAX = 2**31 - 1


def checked(name: str, value: t.Any) -> t.Any:
    """A value that an image's attribute or property may have. Raises BadRequest, Forbidden for what is read-only."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    refuse_reserved(name)
    check = _CHECKS.get(name, _property)
    return check(name, value)


def refuse_reserved(name: str) -> None:
    """Raise Forbidden for what is the service's own to set, and to take away."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def new_values(request: Request, body: dict) -> dict[str, t.Any]:
    """The row of an image to be. Raises BadRequest, Forbidden."""
    if not isinstance(body, dict):
        raise BadRequest("Malformed request body: an object is expected.")
    values: dict[str, t.Any] = {"properties": {}, "tags": []}
    for name, value in body.items():
        value = checked(name, value)
        if name in _CHECKS:
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


def _text(limit: int, *, nullable: bool = True) -> t.Callable[[str, t.Any], t.Any]:
    def check(name: str, value: t.Any) -> t.Any:
        if value is None and nullable:
            return None
        if not isinstance(value, str) or len(value) > limit or "\0" in value:
            raise BadRequest(f"Invalid image data: {name} must be text of at most {limit} characters.")
        return value

    return check


def _one_of(choices: tuple[str, ...], *, nullable: bool = True) -> t.Callable[[str, t.Any], t.Any]:
    def check(name: str, value: t.Any) -> t.Any:
        if (value is None and nullable) or value in choices:
            return value
        raise BadRequest(f"Invalid image data: {name} {value!r} is not one of {', '.join(choices)}.")

    return check


def _boolean(name: str, value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(f"Invalid image data: {name} must be true or false.")
    return value


def _amount(name: str, value: t.Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= INT_MAX:
        raise BadRequest(f"Invalid image data: {name} must be a number from 0 to {INT_MAX}.")
    return value


def _id(name: str, value: t.Any) -> str:
    if not ids.is_uuid(value):
        raise BadRequest("Invalid image data: id must be a UUID.")
    return value


def _tags(name: str, value: t.Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and len(tag) <= 255 for tag in value):
        raise BadRequest("Invalid image data: tags must be texts of at most 255 characters.")
    limited("tags", len(value))
    return sorted(set(value))


def _property(name: str, value: t.Any) -> str:
    if len(name) > 255 or "\0" in name:
        raise BadRequest("Invalid image data: a property's name has at most 255 characters.")
    if not isinstance(value, str) or len(value) > 65535 or "\0" in value:
        raise BadRequest(f"Invalid image data: property {name} must be text of at most 65535 characters.")
    return value


_CHECKS: dict[str, t.Callable[[str, t.Any], t.Any]] = {
    "id": _id, "name": _text(255), "owner": _text(255), "visibility": _one_of(VISIBILITIES, nullable=False), "protected": _boolean,
    "os_hidden": _boolean, "disk_format": _one_of(DISK_FORMATS), "container_format": _one_of(CONTAINER_FORMATS),
    "min_disk": _amount, "min_ram": _amount, "tags": _tags,
}  # fmt: skip
