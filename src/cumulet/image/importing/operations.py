"""Asking for an import, and what can be asked for."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel import clock, ids
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, Conflict, OpenBody, Request, View
from .. import api, locations, policy, quota, tasks, web
from ..addresses import Refused
from ..images import images, visible
from ..staging import staged
from ..stores.registry import stores
from ..workflows.copying import CopyImage
from ..workflows.importing import ImportImage
from . import tokens

# -- wire ----------------------------------------------------------------------------------------------------------


class Method(OpenBody, omit_defaults=True):
    """`uri` is for web-download, what begins with glance for glance-download."""

    name: str
    uri: str | None = None
    glance_image_id: str | None = None
    glance_region: str | None = None
    glance_service_interface: t.Literal["public", "internal", "admin"] | str = "public"


class Import(Body, forbid_unknown_fields=False, omit_defaults=True):
    method: Method
    stores: list[str] | None = None
    all_stores: bool = False
    all_stores_must_succeed: bool = True

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        if data is None:
            raise BadRequest("Body expected in request.")
        if not isinstance(data, dict) or "method" not in data:
            raise BadRequest("Import request requires a 'method' field.")
        if not isinstance(data["method"], dict) or "name" not in data["method"]:
            raise BadRequest("Import request requires a 'name' field.")
        for name in ("all_stores_must_succeed", "all_stores"):
            if not isinstance(data.get(name, False), bool):
                raise BadRequest(f"'{name}' must be boolean value only")


class Choice(View):
    description: str
    type: str
    value: list[str]


class ImportInfo(View, rename={"import_methods": "import-methods"}):
    import_methods: Choice


class ImageTasks(View):
    tasks: list[dict]


# -- operations ----------------------------------------------------------------------------------------------------


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id))


@api.op("GET", "/info/import", policy=policy.ANYONE)
async def info(request: Request) -> ImportInfo:
    """Say in which ways images can be imported."""
    methods = request.runtime.config.image_import.methods
    return ImportInfo(import_methods=Choice(description="Import methods available.", type="array", value=list(methods)))


@api.op("GET", "/images/{id}/tasks", policy=policy.GET, target=_target, errors=(404,))
def index(tx: Tx, request: Request, id: str) -> ImageTasks:
    """List what was and is done to import an image."""
    visible(tx, request, id)
    return ImageTasks(tasks=[_view(row) for row in tasks.of_image(tx, id)])


@api.op("POST", "/images/{id}/import", policy=policy.GET, target=_target, status=202, errors=(400, 403, 404, 409, 413))
async def begin(request: Request, id: str, body: Import) -> None:
    """Import an image: from the staging area, from the web, from another cloud; or copy it to other stores."""
    config, method = request.runtime.config.image_import, body.method
    if method.name not in config.methods:
        raise BadRequest(f"Unknown import method name '{method.name}'.")
    refused = None
    if method.name == "web-download":
        try:
            await web.check(method.uri or "", config)
        except Refused as error:
            refused = BadRequest(f"URI for web-download does not pass filtering: {method.uri} ({error})")
    await request.write(lambda tx: _begin(tx, request, id, body, refused))


# -- helpers -------------------------------------------------------------------------------------------------------


def _begin(tx: Tx, request: Request, id: str, body: Import, refused: BadRequest | None) -> None:
    row = visible(tx, request, id)
    quota.enforce(tx, request.runtime.config, row.owner, image_size_total=0)
    _check_state(tx, row, body.method.name)
    if body.method.name == "glance-download":
        _check_source(body.method)
    request.enforce(policy.COPY if body.method.name == "copy-image" else policy.MODIFY, policy.against(request, row))
    if row.import_task is not None:
        raise Conflict("Image has active task")
    wanted = _stores(request, body)
    if body.method.name == "copy-image":
        wanted = _missing(tx, row, wanted, body.all_stores)
        if not wanted:
            return
    if refused is not None:
        raise refused
    _start(tx, request, row, body, wanted)


def _check_state(tx: Tx, row: Row, method: str) -> None:
    """Raise Conflict where this image cannot be imported in this way now."""
    if method == "copy-image":
        if row.status != "active":
            raise Conflict("Only images with status active can be targeted for copying")
    elif row.status == "active":
        raise Conflict("Image with status active cannot be target for import")
    elif row.import_task is not None:
        raise Conflict("Image has active task")
    elif method == "glance-direct":
        if row.status != "uploading" or staged(tx, row.id) is None:
            raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    elif row.status != "queued":
        raise Conflict(f"Image needs to be in 'queued' state to use '{method}' method")
    for name in ("container_format", "disk_format"):
        if not getattr(row, name):
            raise Conflict(f"'{name}' needs to be set before import")


def _check_source(method: Method) -> None:
    for name in ("glance_region", "glance_image_id"):
        if getattr(method, name) is None:
            raise BadRequest(f"'{name}' needs to be set for glance-download import method")
    if not ids.is_uuid(method.glance_image_id):
        raise BadRequest(f"Remote image id does not look like a UUID: {method.glance_image_id}")


def _stores(request: Request, body: Import) -> list[str]:
    """The stores that are asked for, each once."""
    there, header = stores(request.runtime), request.headers.get("x-image-meta-store")
    if body.all_stores:
        if body.stores is not None or header is not None:
            raise BadRequest("All_stores parameter can't be used with x-image-meta-store header or stores parameter")
        return [id for id in there.tables if not there[id].read_only]
    if body.stores is not None and header is not None:
        raise BadRequest("Stores parameter and x-image-meta-store header can't be both specified")
    wanted = list(dict.fromkeys([header or there.default] if body.stores is None else body.stores))
    if unknown := next((id for id in wanted if id not in there.tables), None):
        raise Conflict(f"Store for identifier {unknown} not found")
    if full := next((id for id in wanted if there[id].read_only), None):
        raise Conflict(f"Store {full} takes no data: it can only be read")
    if not wanted:
        raise BadRequest("stores names no store to import the image to")
    return wanted


def _missing(tx: Tx, row: Row, wanted: list[str], all_stores: bool) -> list[str]:
    """The stores that are to have the image and do not. Raises BadRequest where one of those that were named has it."""
    has = {place.store for place in locations.of(tx, row.id)}
    if not all_stores and (there := next((id for id in wanted if id in has), None)):
        raise BadRequest(f"Image is already present at store '{there}'")
    return [id for id in wanted if id not in has]


def _start(tx: Tx, request: Request, row: Row, body: Import, wanted: list[str]) -> None:
    asked = {"image_id": row.id, "import_req": msgspec.to_builtins(body), "backend": wanted}
    task = tasks.add(tx, request, "api_image_import", asked, row.id)
    copying = body.method.name == "copy-image"
    tx.update(
        images, row.id, status=row.status if copying else "importing", import_task=task.id, import_stores={"to": wanted, "failed": []}
    )
    _check_quota(tx, request, row, body.method.name, len(wanted))
    state = {"image_id": row.id, "stores": wanted, "must_succeed": body.all_stores_must_succeed}
    if copying:
        CopyImage.start(tx, task.id, request_id=request.id, **state)
        return
    secret = tokens.seal(request) if body.method.name == "glance-download" else None
    ImportImage.start(
        tx,
        task.id,
        request_id=request.id,
        method=asked["import_req"]["method"],
        sealed=secret,
        roles=sorted(request.context.roles),
        **state,
    )


def _check_quota(tx: Tx, request: Request, row: Row, method: str, copies: int) -> None:
    """Raise TooLarge for what cannot be the image's owner's. What comes from elsewhere has a size once it is here: then the saga
    looks."""
    if method in ("glance-direct", "copy-image"):
        more = {quota.SIZE: copies * row.size // quota.MIB}
    else:
        more = {quota.STAGE: 0, quota.UPLOADING: 0}
    quota.enforce(tx, request.runtime.config, row.owner, **more)


def _view(row: Row) -> dict[str, t.Any]:
    """A task as upstream's list of an image's has it, which is the row of its database: other than everywhere else."""
    moments = {name: None if (at := getattr(row, name)) is None else clock.iso(at, micro=True, zone="") for name in
               ("expires_at", "created_at", "updated_at")}  # fmt: skip
    plain = ("id", "type", "status", "owner", "image_id", "request_id", "user_id", "input", "result", "message")
    return {name: getattr(row, name) for name in plain} | moments | {"deleted_at": None, "deleted": False}
