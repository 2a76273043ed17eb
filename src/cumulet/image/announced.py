"""How many bytes an upload says it brings, and that it brings so many: `x-openstack-image-size`, or else `Content-Length`."""

from __future__ import annotations

import typing as t

from ..kernel.http import BadRequest, Request

HEADER = "x-openstack-image-size"
MOST = 2**63 - 1


def announced(request: Request) -> int | None:
    """Bytes; None for an upload that does not say. Raises BadRequest for what is no number of bytes."""
    told = request.headers.get(HEADER) or request.headers.get("content-length")
    if told is None:
        return None
    if not told.isascii() or not told.isdecimal() or len(told) > 19 or int(told) > MOST:
        raise BadRequest("Invalid or missing image size in request headers.")
    return int(told) or None


async def as_announced(chunks: t.AsyncIterator[bytes], size: int | None) -> t.AsyncIterator[bytes]:
    """The chunks, which raise BadRequest where they are more or fewer bytes than was said."""
    came = 0
    async for chunk in chunks:
        came += len(chunk)
        if size is not None and came > size:
            raise BadRequest(f"Size exceeds: expected {size} bytes, got {came} bytes")
        yield chunk
    if size is not None and came != size:
        raise BadRequest(f"Size mismatch: expected {size} bytes, got {came} bytes")
