"""What hosts keep of images, as an administrator sees and steers it (`/v2/cache`)."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, NotFound, Request, View
from .. import api, policy
from ..drivers.base import CachedFile
from ..images import images
from .bring import source
from .hosts import cached, live_hosts, remove
from .wishes import images_of, precache, unwanted, wishes

CLEAR_TARGET = "x-image-cache-clear-target"

# -- wire ----------------------------------------------------------------------------------------------------------


class CachedImage(View):
    """Of all hosts together; times are seconds since 1970."""

    image_id: str
    hits: int
    last_accessed: float
    last_modified: float
    size: int


class Cache(View):
    cached_images: list[CachedImage]
    queued_images: list[str]


class Pruned(View):
    total_files_pruned: int
    total_bytes_pruned: int


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("cache_list", "rule:context_is_admin", "Show what hosts keep of images.")
CACHE = api.rule("cache_image", "rule:context_is_admin", "Have hosts fetch an image before a server asks for it.")
DELETE = api.rule("cache_delete", "rule:context_is_admin", "Remove images from hosts' caches, and from the queue for them.")
CLEAN = api.rule("cache_clean", "rule:context_is_admin", "Remove from hosts' caches what is of no use.")
PRUNE = api.rule("cache_prune", "rule:context_is_admin", "Remove from hosts' caches what is too much.")
NODES = api.rule("list_cached_nodes", "rule:context_is_admin", "Show on which hosts an image is cached.")

# -- operations ----------------------------------------------------------------------------------------------------


def _target(tx: Tx, request: Request, image_id: str) -> dict:
    return policy.against(request, _find(tx, image_id))


@api.op("GET", "/cache", policy=LIST)
async def index(request: Request) -> Cache:
    """Show which images are in hosts' caches, and which are on their way there."""
    files = [file for kept in (await cached(request.runtime)).values() for file in kept]
    found = await request.runtime.db.read(lambda tx: images_of(tx, {file.key for file in files}))
    queued = await request.runtime.db.read(lambda tx: tx.all(sa.select(wishes.c.image_id).distinct().order_by(wishes.c.image_id)))
    return Cache(cached_images=_views(files, found), queued_images=[row.image_id for row in queued])


@api.op("PUT", "/cache/{image_id}", policy=CACHE, target=_target, status=202, errors=(400, 403, 404))
def queue(tx: Tx, request: Request, image_id: str) -> None:
    """Have all hosts that are up fetch an image."""
    if _find(tx, image_id).status != "active":
        raise BadRequest("Only images with status active can be targeted for queueing")
    precache(tx, [image_id], live_hosts(tx))


@api.op("DELETE", "/cache/{image_id}", policy=DELETE, target=_target, status=204, errors=(403, 404))
async def delete(request: Request, image_id: str) -> None:
    """Remove an image from hosts' caches, as far as no disk stands on it, and from the queue."""
    await request.runtime.db.write(lambda tx: unwanted(tx, image_id))
    found = await request.runtime.db.read(lambda tx: source(tx, request.runtime, image_id))
    if found is not None:
        await remove(request.runtime, "image.evict", keys=[found.key])


@api.op("DELETE", "/cache", policy=DELETE, status=204, errors=(400, 403))
async def clear(request: Request) -> None:
    """Remove all images from hosts' caches, as far as no disk stands on them, and from the queue.

    The header `x-image-cache-clear-target` names one of these, `cache` or `queue`, that alone is meant."""
    target = request.headers.get(CLEAR_TARGET, "").lower()
    if target not in ("", "cache", "queue"):
        raise BadRequest(f"If provided '{CLEAR_TARGET}' must be 'cache', 'queue' or empty string.")
    if target != "cache":
        await request.runtime.db.write(unwanted)
    if target != "queue":
        await remove(request.runtime, "image.evict", keys=None)


@api.op("POST", "/cache/clean", policy=CLEAN, errors=(403,))
async def clean(request: Request) -> None:
    """Remove from hosts' caches what was cut off on its way there."""
    await remove(request.runtime, "image.clean")


@api.op("POST", "/cache/prune", policy=PRUNE, errors=(403,))
async def prune(request: Request) -> Pruned:
    """Remove from hosts' caches what is beyond the limits of the settings `image_cache_gib` and `image_cache_days` now."""
    removed = await remove(request.runtime, "image.prune")
    return Pruned(total_files_pruned=removed.files, total_bytes_pruned=removed.bytes)


@api.op("GET", "/cache/nodes/{image_id}", policy=NODES, target=_target, errors=(403, 404))
async def nodes(request: Request, image_id: str) -> list[str]:
    """List the hosts in whose caches an image is."""
    found = await request.runtime.db.read(lambda tx: source(tx, request.runtime, image_id))
    kept = await cached(request.runtime)
    return [host for host, files in kept.items() if found is not None and any(file.key == found.key for file in files)]


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, image_id: str) -> Row:
    row = tx.get(images, id=image_id)
    if row is None:
        raise NotFound(f"Image {image_id} not found.")
    return row


def _views(files: t.Iterable[CachedFile], found: dict[str, list[str]]) -> list[CachedImage]:
    """The files of several hosts by the images that they are of."""
    views: dict[str, CachedImage] = {}
    for file in files:
        for id in found.get(file.key, ()):
            view = views.setdefault(id, CachedImage(image_id=id, hits=0, last_accessed=0, last_modified=0, size=file.size))
            view.hits += file.hits
            view.last_accessed = max(view.last_accessed, file.last_accessed)
            view.last_modified = max(view.last_modified, file.last_modified)
    return [views[id] for id in sorted(views)]
