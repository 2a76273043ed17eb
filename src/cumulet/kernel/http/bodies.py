"""A request's body, piece by piece: as the pieces come, or as large as their reader wants them, which then nothing has copied."""

from __future__ import annotations

import io
import typing as t

from starlette.requests import ClientDisconnect, Request

FILL = "cumulet.http.request.fill"
"""An extension of this house's own to ASGI, of servers that can put a body where its reader wants it. `scope["extensions"][FILL]` has
`length`, the bytes of the whole body, and `fill`, to be awaited with a buffer in place of `receive`: that is full then, and the rest is
to be asked for in the same way; or it is False, and the client has gone away. Nobody may ask for more than there is."""
LEAST = 64 << 10
"""Bytes of the first piece. None is larger than all before it together: who sends little, or nothing, has little memory."""


async def pieces(http: Request, size: t.Callable[[], int] | None = None) -> t.AsyncIterator[bytes]:
    """The body. `size` says how many bytes the next piece has at most, where the server can; else pieces are as they come. Raises
    ClientDisconnect."""
    filling = http.scope.get("extensions", {}).get(FILL)
    if filling is None or size is None:
        async for piece in http.stream():
            yield piece
        return
    length, came = filling["length"], 0
    while came < length:
        piece = await _filled(filling["fill"], min(max(LEAST, came), size(), length - came))
        came += len(piece)
        yield piece
        del piece  # the next may be long in coming


async def _filled(fill: t.Callable[[memoryview], t.Awaitable[bool]], size: int) -> bytes:
    # Of all that can be written to, this alone can be had as bytes afterwards without a copy.
    piece = io.BytesIO()
    piece.seek(size - 1)
    piece.write(b"\0")
    with piece.getbuffer() as room:
        if not await fill(room):
            raise ClientDisconnect
    return piece.getvalue()
