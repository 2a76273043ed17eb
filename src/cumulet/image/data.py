"""Images' data: uploading, downloading, and taking over what a host wrote."""

from __future__ import annotations

import asyncio
import contextlib
import re
import typing as t
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.errors import RangeNotSatisfiable
from ..kernel.http import BadRequest, Conflict, Forbidden, Gone, Request, TooLarge, Unavailable
from ..kernel.runtime import Runtime
from . import api, policy
from .formats import UnsafeImage, check
from .images import add, images, visible
from .stores.base import NoImageData, StoreFull
from .stores.base import Stored as Kept
from .stores.file import FileStore

BEAT = 10.0
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("PUT", "/images/{id}/file", policy=policy.UPLOAD, target=_target, status=204, errors=(404, 409, 410, 413), raw=True,
        media=("application/octet-stream",))  # fmt: skip
async def upload(request: Request, id: str) -> None:
    """Upload an image's data. A client that goes away leaves the image queued, as if it had not begun."""
    db = request.runtime.db
    row = await db.write(lambda tx: _begin(tx, request, id))
    try:
        async with _beating(request.runtime, id):
            kept = await store(request.runtime).put(id, _limited(request), lambda inspected: check(row.disk_format, inspected))
    except BaseException as error:
        await asyncio.shield(db.write(lambda tx: tx.update(images, {"id": id, "status": "saving"}, status="queued", upload_seen=None)))
        raise _told(error) from None
    if not await db.write(lambda tx: _finish(tx, id, kept, "saving")):
        request.runtime.bus.nudge("images")
        raise _gone(id)


@api.op("GET", "/images/{id}/file", policy=policy.DOWNLOAD, target=_target, errors=(204, 206, 403, 404, 416, 503))
async def download(request: Request, id: str) -> Response:
    """Download an image's data, or a range of it."""
    row = await request.runtime.db.read(lambda tx: visible(tx, request, id))
    if row.status == "deactivated" and not request.context.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if row.status not in ("active", "deactivated"):
        return Response(status_code=204)
    start, end = _range(request.headers.get("range"), row.size)
    headers = {"Content-Length": str(end - start), "Content-MD5": row.checksum}
    if request.headers.get("range"):
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    if request.method == "HEAD":
        return Response(None, 206 if request.headers.get("range") else 200, headers, media_type="application/octet-stream")
    try:
        chunks = await store(request.runtime).open(id, start, end)
    except NoImageData as error:
        raise Unavailable(f"The image's data is not there: {error}") from None
    return StreamingResponse(chunks, 206 if request.headers.get("range") else 200, headers, media_type="application/octet-stream")


# -- for other services --------------------------------------------------------------------------------------------


def store(runtime: Runtime) -> FileStore:
    """The store of this process."""
    if "image.store" not in runtime.shared:
        runtime.shared["image.store"] = FileStore(runtime.config.root / "images")
    return runtime.shared["image.store"]


def incoming(runtime: Runtime, id: str) -> Path:
    """Where a host of this machine may write the data of an image that waits for it."""
    directory = snapshots(runtime)
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    return directory / id


def snapshots(runtime: Runtime) -> Path:
    """The directory of files that hosts write, until each becomes an image."""
    return runtime.config.root / "images" / "snapshots"


async def adopt(runtime: Runtime, id: str, path: Path) -> None:
    """Make a file that a host wrote an image's data. Where the image was deleted meanwhile, or has its data, the file is
    removed."""
    row = await runtime.db.read(lambda tx: tx.get(images, id=id))
    if row is None or row.status == "active":
        path.unlink(missing_ok=True)
        return
    kept = await store(runtime).adopt(id, path, lambda inspected: check(row.disk_format, inspected))
    await runtime.db.write(lambda tx: _finish(tx, id, kept, row.status))


async def add_file(runtime: Runtime, path: Path, *, name: str, project_id: str, disk_format: str, visibility: str) -> str:
    """Make an image of a file of this machine, which stays; the image's id."""

    async def chunks() -> t.AsyncIterator[bytes]:
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 20):
                yield chunk

    row = await runtime.db.write(lambda tx: add(
        tx, name=name, owner=project_id, status="saving", visibility=visibility, disk_format=disk_format, container_format="bare",
        upload_seen=clock.now()))  # fmt: skip
    async with _beating(runtime, row.id):
        kept = await store(runtime).put(row.id, chunks(), lambda inspected: check(disk_format, inspected))
    await runtime.db.write(lambda tx: _finish(tx, row.id, kept, "saving"))
    return row.id


# -- helpers -------------------------------------------------------------------------------------------------------


def _begin(tx: Tx, request: Request, id: str) -> Row:
    row = visible(tx, request, id)
    if row.status != "queued":
        raise Conflict(f"Image status transition from {row.status} to saving is not allowed")
    if not row.disk_format or not row.container_format:
        raise BadRequest("Invalid image data: disk_format and container_format must be set before data is uploaded.")
    tx.update(images, id, status="saving", upload_seen=clock.now())
    return row


def _finish(tx: Tx, id: str, kept: Kept, status: str) -> bool:
    """Whether the image is still there and in the status in which its data began to come; then it is active."""
    return tx.update(images, {"id": id, "status": status}, status="active", upload_seen=None, **_facts(kept)) == 1


def _gone(id: str) -> Gone:
    return Gone(f"Image {id} could not be found after upload. The image may have been deleted during the upload.")


def _facts(kept: Kept) -> dict[str, t.Any]:
    return {
        "size": kept.size, "virtual_size": kept.inspected.virtual_size, "checksum": kept.checksum_md5, "os_hash_algo": "sha512",
        "os_hash_value": kept.os_hash_value,
    }  # fmt: skip


async def _limited(request: Request) -> t.AsyncIterator[bytes]:
    most, size = request.runtime.config.image_size_max_gib << 30, 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The image is larger than the limit of {most >> 30} GiB.")
        yield chunk


@contextlib.asynccontextmanager
async def _beating(runtime: Runtime, id: str) -> t.AsyncIterator[None]:
    """Show that the upload lives, for as long as it does. Raises Gone, and ends it, where nobody waits for it any more."""
    upload, lost = asyncio.current_task(), False

    async def beat() -> None:
        nonlocal lost
        while not lost:
            await asyncio.sleep(BEAT)
            lost = not await runtime.db.write(lambda tx: tx.update(images, {"id": id, "status": "saving"}, upload_seen=clock.now()))
        if upload is not None:
            upload.cancel()

    beating = asyncio.create_task(beat())
    try:
        yield
    except asyncio.CancelledError:
        if upload is None or not lost or upload.uncancel():
            raise
        raise _gone(id) from None
    finally:
        beating.cancel()


def _told(error: BaseException) -> BaseException:
    """An upload's failure in words for its client."""
    if isinstance(error, UnsafeImage):
        return BadRequest(f"The image was refused: {error}")
    if isinstance(error, StoreFull):
        return TooLarge(str(error))
    return error


def _range(header: str | None, size: int) -> tuple[int, int]:
    if not header:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if not match or not (match[1] or match[2]):
        raise RangeNotSatisfiable(f"Invalid Range {header}", headers={"Content-Range": f"bytes */{size}"})
    start = int(match[1]) if match[1] else max(0, size - int(match[2]))
    end = min(size, int(match[2]) + 1) if match[1] and match[2] else size
    if start >= end:
        raise RangeNotSatisfiable(f"Range {header} is outside the image's {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, end
