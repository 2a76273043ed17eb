"""Importing by a task, as it was before images had an import of their own: the image is made with the task."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, Reply, Request
from .. import api, policy, tasks, web
from ..addresses import Refused
from ..attributes import new_values
from ..images import add, images
from ..stores.registry import stores
from ..workflows.importing import ImportImage

NEEDED = ("import_from", "import_from_format", "image_properties")


class NewTask(Body):
    """`input` of an import: `import_from`, the URL; `import_from_format`, its disk format; `image_properties`."""

    type: t.Literal["import", "api_image_import", "location_import"]
    input: dict[str, t.Any] | None

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        if not isinstance(data, dict):
            raise BadRequest("Body expected in request.")
        for name in ("type", "input"):
            if name not in data:
                raise BadRequest(f"Task '{name}' is required")


@api.op("POST", "/tasks", policy=policy.TASKS, status=201, errors=(400, 403))
async def create(request: Request, body: NewTask) -> Reply[tasks.Task]:
    """Import an image that is made for it. Deprecated: make an image, and import it."""
    asked = body.input or {}
    if body.type == "import":
        await _check_source(request, asked.get("import_from"))
    row = await request.write(lambda tx: _begin(tx, request, body.type, asked))
    return Reply(tasks.view(row), headers={"Location": f"{request.base}/v2/tasks/{row.id}"})


async def _check_source(request: Request, url: t.Any) -> None:
    if not url or not isinstance(url, str):
        raise BadRequest(f"Invalid location: {url}")
    scheme = urlsplit(url).scheme if ":" in url[:16] else ""
    if scheme in ("file", "filesystem"):
        raise BadRequest("File based imports are not allowed. Please use a non-local source of image data.")
    if scheme not in ("http", "https"):
        raise BadRequest("The given uri is not valid. Please specify a valid uri from the following list of supported uri ['http']")
    try:
        await web.check(url, request.runtime.config.image_import)
    except Refused as error:
        raise BadRequest(f"URI for legacy import task does not pass filtering: {url} ({error})") from None


def _begin(tx: Tx, request: Request, type: str, asked: dict[str, t.Any]) -> Row:
    if why := _fault(type, asked):
        row = tasks.add(tx, request, type, asked, None)
        tasks.fail(tx, request.runtime.config, row.id, why)
        return row
    values = new_values(request, {"container_format": "bare"} | asked["image_properties"] | {"disk_format": asked["import_from_format"]})
    image, wanted = add(tx, **values | {"status": "importing"}), [stores(request.runtime).default]
    task = tasks.add(tx, request, type, asked, image.id)
    tx.update(images, image.id, import_task=task.id, import_stores={"to": wanted, "failed": []})
    ImportImage.start(
        tx, task.id, request_id=request.id, image_id=image.id, stores=wanted, must_succeed=True, roles=sorted(request.context.roles),
        method={"name": "web-download", "uri": asked["import_from"]}, sealed=None, made=True,
    )  # fmt: skip
    return task


def _fault(type: str, asked: dict[str, t.Any]) -> str | None:
    """Why a task can come to nothing: it is made all the same, and says so."""
    if type != "import":
        return f"Input to {type} task is empty." if not asked else f"A task of type {type} is made by importing an image, not here."
    return next((f"Input does not contain '{name}' field" for name in NEEDED if name not in asked), None) or (
        None if isinstance(asked["image_properties"], dict) else "Input's 'image_properties' is no object"
    )
