"""Booting a server from a rescue image beside its own disks: `rescue` and `unrescue`."""

from __future__ import annotations

import secrets

from ... import image as images
from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Reply, Request, UnsetType
from .. import PROJECT_MEMBER, api
from ..workflows.rescue import RescueServer, UnrescueServer
from .create import Text
from .disks import check_root, local_root
from .find import begin, find, target
from .states import Task, Vm
from .views import wire


class Rescue(Body):
    admin_pass: Text | UnsetType = wire("adminPass", UNSET)
    image: Text | UnsetType = wire("rescue_image_ref", UNSET)


RESCUE = api.rule("os_compute_api:os-rescue", PROJECT_MEMBER, "Rescue a server.")
UNRESCUE = api.rule("os_compute_api:os-unrescue", PROJECT_MEMBER, "End a server's rescue.")

MARKS = ("hw_rescue_device", "hw_rescue_bus")
"""An image with any of these properties is made to rescue servers that boot from volumes."""


@api.op("POST", "/servers/{id}/action", action="rescue", policy=RESCUE, target=target, errors=(400, 404, 409))
def rescue(tx: Tx, request: Request, id: str, body: Rescue | None) -> Reply:
    """Boot a server from an image (by default the one that it was made of), with its own disks beside."""
    row, wanted = find(tx, request, id), body or Rescue()
    begin(tx, request, row, "rescue", Task.RESCUING, vm={Vm.ACTIVE, Vm.STOPPED, Vm.ERROR})
    image_id = _image(tx, request, row, wanted.image or None)
    epoch = int(clock.now().timestamp())
    RescueServer.start(tx, id, request_id=request.id, rescue={"image_id": image_id, "epoch": epoch}, was=row.vm_state,
                       stopped=row.vm_state == Vm.STOPPED)  # fmt: skip
    return Reply({"adminPass": wanted.admin_pass or secrets.token_urlsafe(9)})


@api.op("POST", "/servers/{id}/action", action="unrescue", policy=UNRESCUE, target=target, status=202, errors=(404, 409))
def unrescue(tx: Tx, request: Request, id: str) -> None:
    """Boot a rescued server from its own disks again."""
    row = find(tx, request, id)
    begin(tx, request, row, "unrescue", Task.UNRESCUING, vm={Vm.RESCUED})
    UnrescueServer.start(tx, id, request_id=request.id, rescue=row.rescue)


def _image(tx: Tx, request: Request, row: Row, asked: str | None) -> str:
    """The image to boot from. Raises BadRequest where the server cannot be rescued with it."""
    local = local_root(tx, row.id) is not None
    id = asked or row.image_id
    image = images.find(tx, request, id) if id else None
    marked = image is not None and any(mark in image.properties for mark in MARKS)
    if image is None or (not local and not (marked and request.version >= (2, 87))):
        raise BadRequest(f"Instance {row.id} cannot be rescued: Cannot rescue a volume-backed instance")
    check_root(image, row.flavor, local=local)
    return image.id
