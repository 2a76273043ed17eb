"""Making an image of a server: `createImage`. Of one that boots from a volume it holds no data, but says which snapshots a new
server's volumes are made of: its property `block_device_mapping` (in the form that `bdm_v2` tells of)."""

from __future__ import annotations

import typing as t

import msgspec

from ... import image as images
from ... import volume
from ...kernel.db import Row, Tx
from ...kernel.http import Body, Reply, Request
from .. import PROJECT_MEMBER, api
from ..wire import Name
from ..workflows.snapshot import SnapshotServer, SnapshotVolumes
from .create import Metadata
from .disks import local_root, volume_terms
from .find import begin, find, target
from .states import Task, Vm
from .tables import block_devices


class CreateImage(Body):
    name: Name
    metadata: Metadata = {}


SNAPSHOT = api.rule("os_compute_api:servers:create_image", PROJECT_MEMBER, "Make an image of a server.")

SNAPSHOTTABLE = {Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED}
KEPT = ("hw_disk_bus", "hw_vif_model", "hw_machine_type", "hw_firmware_type", "os_type", "os_distro", "os_version", "architecture",
        "kernel_id", "ramdisk_id", "os_command_line")  # fmt: skip
"""Properties of the server's image that its snapshot has too."""


@api.op("POST", "/servers/{id}/action", action="createImage", policy=SNAPSHOT, target=target, status=202, errors=(400, 403, 404, 409))
def create_image(tx: Tx, request: Request, id: str, body: CreateImage) -> Reply:
    """Make an image of a server's root disk as it is now; of one that boots from a volume, of all its volumes."""
    row = find(tx, request, id)
    begin(tx, request, row, "createImage", Task.SNAPSHOT, vm=SNAPSHOTTABLE)
    if local_root(tx, id):
        image_id = reserve(tx, request, row, body.name, "snapshot", body.metadata)
        SnapshotServer.start(tx, id, request_id=request.id, image=image_id)
    else:
        image_id, taken = _of_volumes(tx, request, row, body)
        SnapshotVolumes.start(tx, id, request_id=request.id, image=image_id, snapshots=taken)
    return accepted(request, image_id)


def accepted(request: Request, image_id: str | None) -> Reply:
    """What tells a client which image comes of its request: a link, from 2.45 on the image's id. None: nothing does."""
    if request.version >= (2, 45):
        return Reply({"image_id": image_id})
    return Reply(headers={"Location": f"{request.base}/images/{image_id}"} if image_id else None)


def reserve(tx: Tx, request: Request, row: Row, name: str, kind: str, metadata: dict[str, str]) -> str:
    """A queued image for the root disk of a server; its id."""
    return images.reserve(
        tx, request, project_id=row.project_id, name=name, disk_format="qcow2", container_format="bare",
        min_disk=row.flavor["disk"], properties=_properties(request, row, kind, metadata),
    )  # fmt: skip


def _of_volumes(tx: Tx, request: Request, row: Row, body: CreateImage) -> tuple[str, list[str]]:
    """A queued image for a server's volumes, and the snapshots that are being taken of them."""
    disks, taken = tx.rows(block_devices, server_id=row.id, order=block_devices.c.position), {}
    for disk in disks:
        if disk.volume_id:
            with volume_terms():
                of = volume.find(tx, request.context, disk.volume_id)
                taken[disk.id] = volume.take_snapshot(tx, request, of, name=f"snapshot for {body.name}"[:255])
    properties = _properties(request, row, "snapshot", body.metadata) | {
        "bdm_v2": "True", "root_device_name": disks[0].device_name,
        "block_device_mapping": msgspec.json.encode([_mapping(disk, taken.get(disk.id)) for disk in disks]).decode(),
    }  # fmt: skip
    image_id = images.reserve(
        tx, request, project_id=row.project_id, name=body.name, disk_format="raw", container_format="bare", min_disk=0,
        properties=properties,
    )  # fmt: skip
    return image_id, [snapshot.id for snapshot in taken.values()]


def _mapping(disk: Row, snapshot: Row | None) -> dict[str, t.Any]:
    """A disk as a server made of the image has it: on a volume made of the snapshot or, where there is none, empty."""
    return {
        "source_type": "snapshot" if snapshot else "blank", "destination_type": disk.destination_type,
        "snapshot_id": snapshot.id if snapshot else None, "volume_size": snapshot.size if snapshot else disk.size_gib,
        "volume_id": None, "image_id": None, "volume_type": None, "device_name": disk.device_name,
        "boot_index": -1 if disk.boot_index is None else disk.boot_index, "delete_on_termination": disk.delete_on_termination,
        "disk_bus": disk.disk_bus, "device_type": disk.device_type, "guest_format": None, "tag": disk.tag, "no_device": None,
    }  # fmt: skip


def _properties(request: Request, row: Row, kind: str, metadata: dict[str, str]) -> dict[str, str]:
    images.guard(request).check("create", *metadata)
    kept = {name: value for name, value in row.image_properties.items() if name in KEPT}
    properties = {
        **kept, "image_type": kind, "instance_uuid": row.id, "user_id": request.context.user_id,
        "owner_project_name": request.context.project_name or "", "boot_roles": ",".join(sorted(request.context.roles)), **metadata,
    }  # fmt: skip
    if row.image_id:
        properties["base_image_ref"] = row.image_id
    return properties
