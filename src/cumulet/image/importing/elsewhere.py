"""Bringing an image from another cloud that this one's catalog names, with the token of whoever imports it."""

from __future__ import annotations

import typing as t

import msgspec

from ... import identity
from ...kernel.db import Tx
from ...kernel.sealing import Unsealable
from ...kernel.work import Saga, StepFailed
from .. import web
from ..images import images
from ..shapes import CONTAINER_FORMATS, DISK_FORMATS
from ..stores.registry import STAGING
from . import copies, tokens

LARGEST = 1 << 20
"""Bytes that the record of an image may have."""


class Record(msgspec.Struct):
    """What is needed of another cloud's image. `size` is bytes."""

    status: str
    disk_format: str
    container_format: str
    size: int
    os_hash_algo: str | None = None
    os_hash_value: str | None = None


async def fetch(saga: Saga, most: int) -> dict[str, t.Any]:
    """Bring the data that the saga's state names to the staging area: the key there, the formats, and the properties that come
    along. Raises StepFailed, web.FetchFailed."""
    method, stall = saga.state["method"], saga.runtime.config.image_import.stall_seconds
    url = f"{await _endpoint(saga)}/v2/images/{method['glance_image_id']}"
    try:
        token = tokens.unseal(saga.runtime, saga.state["sealed"])
    except Unsealable:
        raise StepFailed("This cloud's key for sealing tokens is another since this was asked for: ask again.") from None
    async with web.asked(url, token, most=LARGEST, stall=stall) as answer:
        record, properties = _understood(saga, b"".join([chunk async for chunk in answer.chunks]))
    async with web.asked(f"{url}/file", token, most=most, stall=stall) as answer:
        key, kept = await copies.keep(saga, STAGING, answer.chunks)
    if kept.size != record.size or (record.os_hash_algo == "sha512" and kept.os_hash_value != record.os_hash_value):
        raise StepFailed(f"What came, {kept.size} bytes, is not what the other cloud says it has: its size or digest is another.")
    return {
        "key": key, "properties": properties,
        "attributes": {"disk_format": record.disk_format, "container_format": record.container_format},
    }  # fmt: skip


async def _endpoint(saga: Saga) -> str:
    method = saga.state["method"]
    region, interface = method["glance_region"], method.get("glance_service_interface", "public")

    def look(tx: Tx) -> str | None:
        owner = tx.one(images, id=saga.state["image_id"]).owner
        return identity.endpoint_url(tx, "image", region, interface, project_id=owner)

    found = await saga.runtime.db.read(look)
    if found is None:
        raise StepFailed(f"The catalog has no {interface} endpoint of an image service in region {region}.")
    return found.rstrip("/").removesuffix("/v2")


def _understood(saga: Saga, body: bytes) -> tuple[Record, dict[str, str]]:
    try:
        record, found = msgspec.json.decode(body, type=Record), msgspec.json.decode(body, type=dict[str, t.Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StepFailed("The other cloud's record of the image is not one that can be used: its size or a format is missing.") from None
    if record.status != "active":
        raise StepFailed(f"Source image status should be active instead of {record.status[:64]}")
    if record.disk_format not in DISK_FORMATS or record.container_format not in CONTAINER_FORMATS:
        raise StepFailed("The other cloud's image has a format that this cloud does not know.")
    wanted = tuple(saga.runtime.config.image_import.copied_properties)
    return record, {
        name: value for name, value in found.items()
        if name.startswith(wanted) and not name.startswith("os_glance") and len(name) <= 255 and isinstance(value, str)
    }  # fmt: skip
