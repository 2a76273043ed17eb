"""Scenes of the sagas that bring images."""

from __future__ import annotations

import functools
import gzip
import typing as t

from fault.fault_actor import GONE, PATHS, Actor, Scene, scene

RAW = bytes(range(256)) * 4096
PACKED = gzip.compress(RAW, mtime=0)
"""A disk that is decompressed on its way in, and converted."""
BOTH = {"all_stores": True}


@scene("ImportImage")
def import_staged(a: Actor) -> Scene:
    image = _image(a)
    _send(a, image, "stage", PACKED)
    return Scene("images", functools.partial(_import, a, image, {"name": "glance-direct"}, BOTH), "active", "queued")


@scene("ImportImage", "from the web")
def import_from_the_web(a: Actor) -> Scene:
    image, url = _image(a), a.world.web.serve("/disk", PACKED)
    return Scene("images", functools.partial(_import, a, image, {"name": "web-download", "uri": url}, {}), "active", "queued")


@scene("ImportImage", "by a task")
def import_by_a_task(a: Actor) -> Scene:
    url = a.world.web.serve("/disk", RAW)

    def begin() -> str:
        asked = {"import_from": url, "import_from_format": "raw", "image_properties": {"name": "i", "visibility": "private"}}
        task = a("POST", "/image/v2/tasks", {"type": "import", "input": asked}, admin=True)
        return a("GET", f"/image/v2/tasks/{task['id']}", admin=True)["image_id"]

    return Scene("images", begin, "active", GONE)


@scene("ImportLocation")
def import_location(a: Actor) -> Scene:
    image, url = _image(a), a.world.web.serve("/there", RAW)

    def begin() -> str:
        a("POST", f"{PATHS['images']}/{image}/locations", {"url": url})
        return image

    return Scene("images", begin, "active", "queued")


@scene("CopyImage")
def copy(a: Actor) -> Scene:
    image = _image(a)
    _send(a, image, "file", RAW)

    def begin() -> str:
        return _import(a, image, {"name": "copy-image"}, {"stores": ["second"]}, admin=True)

    def look(id: str) -> str:
        shown = a.show("images", id)
        return GONE if shown is None else f"{shown['status']}, failed: {shown['os_glance_failed_import']}"

    return Scene("images", begin, "active, failed: ", "active, failed: second", look)


def _image(a: Actor) -> str:
    return a("POST", PATHS["images"], {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "private"})["id"]


def _send(a: Actor, image: str, where: str, data: bytes) -> None:
    sent = a.me("PUT", f"{PATHS['images']}/{image}/{where}", content=data, headers={"Content-Type": "application/octet-stream"})
    assert sent.status_code == 204, sent.text


def _import(a: Actor, image: str, method: dict[str, t.Any], more: dict[str, t.Any], *, admin: bool = False) -> str:
    a("POST", f"{PATHS['images']}/{image}/import", {"method": method} | more, admin=admin)
    return image
