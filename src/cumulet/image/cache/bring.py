"""Bringing an image's data to a host: by its path where the host has the file, else by a ticket for this one image."""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import typing as t

from starlette.responses import Response

from ...kernel import clock
from ...kernel.bus import AgentAway, AgentUnreachable
from ...kernel.db import Row, Tx
from ...kernel.http import Forbidden, NotFound, Request
from ...kernel.log import get_logger
from ...kernel.runtime import Runtime
from ...kernel.sealing import own_box
from ...kernel.work import StepFailed
from .. import api, data, locations
from ..drivers.base import GRACE, ImageSource, Origin
from ..drivers.fetch import TICKET
from ..images import images
from ..stores.base import Store, StoreError
from ..stores.registry import stores
from .hosts import PATIENCE

log = get_logger("image")
PAUSE = 0.2
"""Seconds between questions whether an image has come; each is waited with for a while by the host."""


def source(tx: Tx, runtime: Runtime, id: str) -> ImageSource | None:
    """What a host is told of an image; None where it is gone, or has no data."""
    row = tx.get(images, id=id)
    if row is None or row.status not in ("active", "deactivated"):
        return None
    places = stores(runtime).sorted(locations.of(tx, id))
    kept = [(store, place.key) for place in places if (store := _store(runtime, place))]
    return ImageSource(
        id=id, size=row.size, hash_algo=row.os_hash_algo or "sha512", hash_value=row.os_hash_value,
        claimed=not any(stores(runtime).keeps(place) for place in places),
        path=next((str(path) for store, key in kept if (path := store.path(key))), None),
        block=next((block for store, key in kept if (block := store.block(key))), None),
    )  # fmt: skip


def _store(runtime: Runtime, place: Row) -> Store | None:
    try:
        return stores(runtime)[place.store]
    except StoreError:
        return None


async def bring(runtime: Runtime, host: str, command: str, arguments: t.Callable[[], dict[str, t.Any]], seconds: float) -> None:
    """Ask a host, by a command that says whether it has the images that it needs, until it has. What the command needs is made for
    each time that it is asked, for tickets run out. Raises AgentError with the reason, and StepFailed after `seconds`."""
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if await runtime.bus.call(host, command, arguments(), timeout=PATIENCE):
                return
        except AgentAway:
            raise
        except AgentUnreachable as error:
            log.warning("a host does not say whether it has an image", host=host, error=str(error))
        if asyncio.get_running_loop().time() > ends:
            raise StepFailed(f"Host {host} did not have the image within {seconds:g} s.")
        await asyncio.sleep(PAUSE)


async def have(runtime: Runtime, host: str, wanted: ImageSource) -> None:
    """See to it that a host can get at an image's data without waiting for it. Raises as `bring` does."""
    arguments = lambda: {"image": wanted, "origin": origin(runtime, wanted), "cached": False}
    await bring(runtime, host, "image.want", arguments, wanted.seconds + GRACE)


def origin(runtime: Runtime, wanted: ImageSource) -> Origin:
    """Where a host gets an image's data, and a ticket that is good for as long as that may take. Without a message server all hosts
    are this machine, which need not be able to go the way that clients come."""
    config = runtime.config
    url = config.url if config.bus else f"http://{config.listen}"
    ends = int(clock.now().replace(tzinfo=dt.UTC).timestamp() + wanted.seconds + GRACE)
    return Origin(url=f"{url}/image/v2/cache/data/{wanted.id}", ticket=f"{ends}.{_mark(runtime, wanted.id, ends)}")


@api.op("GET", "/cache/data/{image_id}", policy=None, errors=(204, 206, 403, 404, 416, 503))
async def give(request: Request, image_id: str) -> Response:
    """Give an image's data to a host of this cloud, which shows a ticket for it. This is no operation of the Image API."""
    if not _good(request.runtime, image_id, request.headers.get(TICKET.lower(), "")):
        raise Forbidden("A ticket for this image is needed, which hosts of this cloud are given, or it has run out.")
    row, places = await request.runtime.db.read(lambda tx: (tx.get(images, id=image_id), locations.of(tx, image_id)))
    if row is None:
        raise NotFound(f"Image {image_id} not found.")
    return await data.send(request, row, places)


def _good(runtime: Runtime, id: str, ticket: str) -> bool:
    ends, _, mark = ticket.partition(".")
    if not ends.isdecimal() or len(ends) > 12 or int(ends) < clock.now().replace(tzinfo=dt.UTC).timestamp():
        return False
    return hmac.compare_digest(mark.encode(), _mark(runtime, id, int(ends)).encode())


def _mark(runtime: Runtime, id: str, ends: int) -> str:
    return own_box(runtime.config.root).mark(f"image ticket {ends} {id}".encode())
