"""Making an image of a server: `createImage`."""

from __future__ import annotations

from ... import image as images
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, Reply, Request
from .. import PROJECT_MEMBER, api
from ..wire import Name
from ..workflows.snapshot import SnapshotServer
from .create import Metadata
from .find import begin, find, target
from .states import Task, Vm
from .tables import block_devices


class CreateImage(Body):
    name: Name
    metadata: Metadata = {}


SNAPSHOT = api.rule("os_compute_api:servers:create_image", PROJECT_MEMBER, "Make an image of a server.")

SNAPSHOTTABLE = {Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED}
KEPT = ("hw_disk_bus", "hw_vif_model", "hw_machine_type", "hw_firmware_type", "os_type", "os_distro", "os_version", "architecture")
"""Properties of the server's image that its snapshot has too."""


@api.op("POST", "/servers/{id}/action", action="createImage", policy=SNAPSHOT, target=target, status=202, errors=(404, 409))
def create_image(tx: Tx, request: Request, id: str, body: CreateImage) -> Reply:
    """Make an image of a server's root disk, as it is now."""
    row = find(tx, request, id)
    begin(tx, request, row, "createImage", Task.SNAPSHOT, vm=SNAPSHOTTABLE)
    image_id = reserve(tx, request, row, body.name, "snapshot", body.metadata)
    SnapshotServer.start(tx, id, request_id=request.id, image=image_id)
    return accepted(request, image_id)


def accepted(request: Request, image_id: str | None) -> Reply:
    """What tells a client which image comes of its request: a link, from 2.45 on the image's id. None: nothing does."""
    if request.version >= (2, 45):
        return Reply({"image_id": image_id})
    return Reply(headers={"Location": f"{request.base}/images/{image_id}"} if image_id else None)


def reserve(tx: Tx, request: Request, row: Row, name: str, kind: str, metadata: dict[str, str]) -> str:
    """A queued image for a server's snapshot; its id. Raises BadRequest for a server that boots from a volume."""
    root = tx.get(block_devices, server_id=row.id, boot_index=0)
    if root is None or root.destination_type != "local":
        raise BadRequest(f"Instance {row.id} boots from a volume: make a snapshot of volume {root.volume_id if root else ''} instead.")
    kept = {name: value for name, value in row.image_properties.items() if name in KEPT}
    properties = {
        **kept, "image_type": kind, "instance_uuid": row.id, "user_id": request.context.user_id, "owner_project_name": request.context.project_name or "",
        "boot_roles": ",".join(sorted(request.context.roles)), **metadata,
    }  # fmt: skip
    if row.image_id:
        properties["base_image_ref"] = row.image_id
    return images.reserve(
        tx, project_id=row.project_id, name=name, disk_format="qcow2", container_format="bare",
        min_disk=row.flavor["disk"], properties=properties,
    )  # fmt: skip
