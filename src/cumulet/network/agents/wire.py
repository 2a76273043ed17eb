"""What is alike in giving a router to an agent and a network to one."""

from __future__ import annotations

from starlette.responses import Response

from ...kernel import ids
from ...kernel.http import BadRequest
from ..bodies import Json


def named(body: Json, name: str) -> str:
    """The id that a request names. Raises BadRequest."""
    id = body.get(name)
    if not isinstance(id, str) or not ids.is_uuid(id):
        raise BadRequest(f"Invalid input for {name}. Reason: '{str(id)[:64]}' is not a valid UUID.", kind="HTTPBadRequest")
    return id


def accepted() -> Response:
    """The real service's answer, which clients decode: `null`."""
    return Response(b"null", 201, media_type="application/json")
