"""Images' data: uploading, downloading, and taking over what a host wrote."""

from __future__ import annotations

import asyncio
import re
import typing as t
from pathlib import Path

from starlette.responses import Response

from ..kernel.db import Row, Tx
from ..kernel.errors import RangeNotSatisfiable
from ..kernel.http import BadRequest, Conflict, Forbidden, Gone, Request, TooLarge, Unavailable, UnsupportedMediaType
from ..kernel.http.files import DataResponse
from ..kernel.runtime import Runtime
from . import api, locations, policy, quota
from .announced import announced, as_announced
from .formats import PACKED, UnsafeImage, check
from .images import add, images, visible
from .reading import opened
from .signatures import SignatureRefused, verified
from .stores.base import Accept, StoreError, StoreFull
from .stores.base import Stored as Kept
from .stores.registry import STAGING, stores
from .stores.streaming import share

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("PUT", "/images/{id}/file", policy=policy.UPLOAD, target=_target, status=204, raw=True,
        errors=(400, 404, 409, 410, 413, 415, 503), media=("application/octet-stream",))  # fmt: skip
async def upload(request: Request, id: str) -> None:
    """Upload an image's data. A client that goes away leaves the image queued, as if it had not begun."""
    db, store, size = request.runtime.db, chosen(request), announced(request)
    row, place = await db.write(lambda tx: _begin(tx, request, id, store, size))
    try:
        accept = lambda inspected: check(row.disk_format, inspected, row.container_format)
        kept = await _put(request.runtime, place, *verified(request.runtime, row, as_announced(limited(request), size), accept))
    except BaseException as error:
        await asyncio.shield(db.write(lambda tx: ended(tx, place)))
        raise told(error) from None
    if not await db.write(lambda tx: _finish(tx, place, kept, "saving")):
        raise gone(id)


@api.op("GET", "/images/{id}/file", policy=policy.DOWNLOAD, target=_target, errors=(204, 206, 403, 404, 416, 503))
async def download(request: Request, id: str) -> Response:
    """Download an image's data, or a range of it."""
    row, places = await request.runtime.db.read(lambda tx: (visible(tx, request, id), locations.of(tx, id)))
    if row.status == "deactivated" and not request.context.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    return await send(request, row, places)


async def send(request: Request, row: Row, places: list[Row]) -> Response:
    """An image's data from these places, or the range of it that the request asks for."""
    if row.status not in ("active", "deactivated"):
        return Response(status_code=204)
    start, end = _range(request.headers.get("range"), row.size)
    headers = {"Content-Length": str(end - start)}
    if row.checksum:
        headers["Content-MD5"] = row.checksum
    if request.headers.get("range"):
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    if request.method == "HEAD":
        return Response(None, 206 if request.headers.get("range") else 200, headers, media_type="application/octet-stream")
    try:
        chunks = await opened(request.runtime, places, start, end)
    except StoreError as error:
        raise Unavailable(f"The image's data is not there: {error}") from None
    return DataResponse(chunks, 206 if request.headers.get("range") else 200, headers)


# -- for other services --------------------------------------------------------------------------------------------


def incoming(runtime: Runtime, id: str) -> Path:
    """Where a host of this machine may write the data of an image that waits for it."""
    directory = snapshots(runtime)
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    return directory / id


def snapshots(runtime: Runtime) -> Path:
    """The directory of files that hosts write, until each becomes an image."""
    return runtime.config.root / "images" / "snapshots"


async def adopt(runtime: Runtime, id: str, path: Path) -> None:
    """Make a file that a host wrote an image's data, in the default store. Where the image was deleted meanwhile, or has its
    data, the file is removed. One that was cut off goes on with the place that it had."""
    adopting = await runtime.db.write(lambda tx: _adopting(tx, id, stores(runtime).default))
    if adopting is not None:
        row, place = adopting
        kept = await stores(runtime)[place.store].adopt(place.key, path, lambda inspected: check(row.disk_format, inspected))
        await runtime.db.write(lambda tx: _finish(tx, place, kept, row.status))
    path.unlink(missing_ok=True)


async def add_file(runtime: Runtime, path: Path, *, name: str, project_id: str, disk_format: str, visibility: str) -> str:
    """Make an image of a file of this machine, which stays; the image's id."""

    async def chunks() -> t.AsyncIterator[bytes]:
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 20):
                yield chunk

    def begin(tx: Tx) -> Row:
        row = add(tx, name=name, owner=project_id, status="saving", visibility=visibility, disk_format=disk_format, container_format="bare")
        return locations.begin(tx, row.id, stores(runtime).default)

    place = await runtime.db.write(begin)
    kept = await _put(runtime, place, chunks(), lambda inspected: check(disk_format, inspected))
    await runtime.db.write(lambda tx: _finish(tx, place, kept, "saving"))
    return place.image_id


# -- helpers -------------------------------------------------------------------------------------------------------


def chosen(request: Request) -> str:
    """The store that an upload is for. Raises BadRequest, and Gone for one that takes no data."""
    there = stores(request.runtime)
    id = request.headers.get("x-image-meta-store", there.default)
    if id not in there.tables:
        raise BadRequest(f"Store for identifier {id} not found")
    if there[id].read_only:
        raise Gone("Error in store configuration. Adding images to store is disabled.")
    return id


def _begin(tx: Tx, request: Request, id: str, store: str, size: int | None) -> tuple[Row, Row]:
    row = visible(tx, request, id)
    quota.enforce(tx, request.runtime.config, row.owner, image_size_total=(size or 0) // quota.MIB)
    if row.status != "queued":
        raise Conflict(f"Image status transition from {row.status} to saving is not allowed")
    if missing := [name for name in ("disk_format", "container_format") if not getattr(row, name)]:
        raise BadRequest(f"{'Properties' if missing[1:] else 'Property'} {', '.join(missing)} must be set prior to saving data.")
    tx.update(images, id, status="saving", announced=size)
    quota.enforce(tx, request.runtime.config, row.owner, image_count_uploading=0)
    return row, locations.begin(tx, id, store)


async def _put(runtime: Runtime, place: Row, chunks: t.AsyncIterator[bytes], accept: Accept) -> Kept:
    async with locations.beating(runtime, place, gone(place.image_id)):
        return await stores(runtime)[place.store].put(place.key, chunks, accept)


def give_up(tx: Tx, place: Row) -> None:
    """Data that was on its way to a place does not come; where its image waits for it, it waits for an upload again."""
    mine = tx.get(locations.locations, id=place.id, image_id=place.image_id)
    locations.forget(tx, place.id)
    if mine is not None:
        waits = "uploading" if place.store == STAGING else "saving"
        tx.update(images, {"id": place.image_id, "status": waits}, status="queued")


def ended(tx: Tx, place: Row) -> None:
    """The same, by the upload itself: if what it had sent was removed while it lived, it is looked for once more."""
    give_up(tx, place)
    locations.late(tx, place.id)


def _finish(tx: Tx, place: Row, kept: Kept, status: str) -> bool:
    """Whether the image is still there and waits for this data; then it is active."""
    if not locations.finish(tx, place.id):
        return False
    row = tx.get(images, id=place.image_id)
    if row is not None and tx.update(images, {"id": row.id, "status": status}, status="active", **facts(row.container_format, kept)) == 1:
        return True
    locations.forget(tx, place.id)
    return False


def _adopting(tx: Tx, id: str, store: str) -> tuple[Row, Row] | None:
    """An image that waits for a host's file, and the place for that."""
    row = tx.get(images, id=id)
    if row is None or row.status == "active":
        return None
    begun = tx.rows(locations.locations, image_id=id, status="pending", store=store)
    return row, begun[0] if begun else locations.begin(tx, id, store)


def gone(id: str) -> Gone:
    return Gone(f"Image {id} could not be found after upload. The image may have been deleted during the upload.")


def facts(container_format: str | None, kept: Kept) -> dict[str, t.Any]:
    return {
        "size": kept.size, "virtual_size": None if container_format in PACKED else kept.inspected.virtual_size,
        "checksum": kept.checksum_md5, "os_hash_algo": "sha512", "os_hash_value": kept.os_hash_value,
    }  # fmt: skip


async def limited(request: Request) -> t.AsyncIterator[bytes]:
    most, size = request.runtime.config.image_size_max_gib << 30, 0
    async for chunk in request.stream(share):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The image is larger than the limit of {most >> 30} GiB.")
        yield chunk


def told(error: BaseException) -> BaseException:
    """An upload's failure in words for its client."""
    if isinstance(error, SignatureRefused):
        return BadRequest(str(error))
    if isinstance(error, UnsafeImage):
        return UnsupportedMediaType(str(error))
    if isinstance(error, StoreFull):
        return TooLarge(str(error))
    if isinstance(error, StoreError):
        return Unavailable(f"The image could not be kept: {error}")
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
