"""Making an image of data that is somewhere on the web and stays there."""

from __future__ import annotations

import hashlib
import typing as t

from ...kernel.db import Tx
from ...kernel.http import BadRequest, Conflict, Forbidden, Request
from .. import api, policy, quota, tasks, web
from ..addresses import Refused
from ..images import images, visible
from ..placing import on_web
from ..shapes import NEW_LOCATION, check
from ..stores.registry import stores
from ..workflows.locating import ImportLocation


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("POST", "/images/{id}/locations", policy=policy.ADD_LOCATION, target=_target, status=202, errors=(400, 403, 404, 409, 413))
async def add(request: Request, id: str, body: dict | list) -> None:
    """Say where an image's data is, on the web.

    It is read to its end, and the image is active once its hash is known, and is the one that was told."""
    check({"add_location": body}, NEW_LOCATION)
    asked, refused = t.cast(dict, body), None
    if on_web(asked["url"], stores(request.runtime)):
        try:
            await web.check(asked["url"], request.runtime.config.image_import)
        except Refused as error:
            refused = BadRequest(f"URI for add location does not pass filtering: {asked['url']} ({error})")
    await request.write(lambda tx: _begin(tx, request, id, asked, refused))


def _begin(tx: Tx, request: Request, id: str, asked: dict[str, t.Any], refused: BadRequest | None) -> None:
    row, there, hash = visible(tx, request, id), stores(request.runtime), asked.get("validation_data", {})
    if row.status != "queued":
        raise Conflict(f"It's not allowed to add locations if image status is {row.status}.")
    if not on_web(asked["url"], there):
        if "service" in request.context.roles:
            raise BadRequest("Invalid location: it is none of http or https, or this cloud has no store for these.")
        raise Forbidden("http store must be enabled to use location API by normal user.")
    _check_hash(hash)
    if refused is not None:
        raise refused
    if not row.disk_format or not row.container_format:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    quota.enforce(tx, request.runtime.config, row.owner, image_size_total=0)
    task = tasks.add(tx, request, "location_import", {"image_id": id, "loc_url": asked["url"], "validation_data": hash}, id)
    tx.update(images, id, status="importing", import_task=task.id)
    ImportLocation.start(tx, task.id, request_id=request.id, image_id=id, store=there.web, url=asked["url"], hash=hash)


def _check_hash(hash: dict[str, str]) -> None:
    if not hash:
        return
    algo, value = hash["os_hash_algo"], hash["os_hash_value"]
    try:
        size = len(bytes.fromhex(value))
    except ValueError:
        raise BadRequest(f"os_hash_value ({value}) is not a valid hexadecimal value") from None
    wanted = hashlib.new(algo, usedforsecurity=False).digest_size
    if size != wanted:
        raise BadRequest(f"os_hash_value: ({value}) is not the correct size for ({algo}) (should be ({wanted}) bytes)")
