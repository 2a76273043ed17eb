"""Data as an answer: of a file, from the page cache straight to the client's connection where the server can, else in chunks."""

from __future__ import annotations

import asyncio
import os
import typing as t

from starlette.responses import StreamingResponse

ZERO_COPY = "http.response.zerocopysend"
"""The extension of ASGI by which a server says that it can, and the message that has it send a part of a file:
https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send"""
READ = 1 << 20


class FilePart(t.AsyncIterator[bytes]):
    """The bytes of an open file from `start` up to `end`, without it, in chunks. The file is closed behind the last one."""

    def __init__(self, file: t.BinaryIO, start: int, end: int):
        self.file, self.start, self.end = file, start, end

    async def __anext__(self) -> bytes:
        size = min(READ, self.end - self.start)
        chunk = await asyncio.to_thread(os.pread, self.file.fileno(), size, self.start) if size > 0 else b""
        if not chunk:
            self.file.close()
            raise StopAsyncIteration
        self.start += len(chunk)
        return chunk


class DataResponse(StreamingResponse):
    """An answer with data in its body. Its length is to be among the headers."""

    def __init__(self, data: t.AsyncIterator[bytes], status: int, headers: dict[str, str]):
        super().__init__(data, status, headers, "application/octet-stream")
        self._data = data

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if not isinstance(self._data, FilePart):
            return await super().__call__(scope, receive, send)
        with self._data.file:
            await (self._send_file if ZERO_COPY in scope.get("extensions", {}) else super().__call__)(scope, receive, send)

    async def _send_file(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        data = t.cast(FilePart, self._data)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": ZERO_COPY, "file": data.file.fileno(), "offset": data.start, "count": data.end - data.start})
