"""Rebuilding a server: the same server, on a new root disk."""

from __future__ import annotations

import secrets
import typing as t

from ... import image as images
from ...kernel.db import Tx
from ...kernel.http import UNSET, BadRequest, Body, Request, UnsetType, since, until
from .. import PROJECT_MEMBER, api
from ..keypairs import keypairs
from ..wire import Name
from ..workflows.rebuild import RebuildServer
from .create import File, Hostname, Metadata, Text, access_addresses, base64_text, check_hostname
from .disks import check_root, local_root
from .find import begin, find, target
from .kernels import check_kernel
from .states import Task, Vm
from .tables import block_devices, servers
from .views import Brief, rebuilt, wire


class Rebuild(Body):
    image: str = wire("imageRef")
    name: Name | UnsetType = UNSET
    admin_pass: Text | UnsetType = wire("adminPass", UNSET)
    metadata: Metadata | UnsetType = UNSET
    preserve_ephemeral: bool | str = False
    disk_config: t.Literal["AUTO", "MANUAL"] | UnsetType = wire("OS-DCF:diskConfig", UNSET)
    access_ipv4: str | UnsetType = wire("accessIPv4", UNSET)
    access_ipv6: str | UnsetType = wire("accessIPv6", UNSET)
    personality: t.Annotated[list[File] | UnsetType, until("2.56")] = UNSET
    description: t.Annotated[Text | None | UnsetType, since("2.19")] = UNSET
    key_name: t.Annotated[Name | None | UnsetType, since("2.54")] = UNSET
    user_data: t.Annotated[str | None | UnsetType, since("2.57")] = UNSET
    trusted_image_certificates: t.Annotated[list[str] | None | UnsetType, since("2.63")] = UNSET
    hostname: t.Annotated[Hostname | UnsetType, since("2.90")] = UNSET


REBUILD = api.rule("os_compute_api:servers:rebuild", PROJECT_MEMBER, "Rebuild a server.")


@api.op("POST", "/servers/{id}/action", action="rebuild", reply="server", policy=REBUILD, target=target, status=202, errors=(404, 409))
def rebuild(tx: Tx, request: Request, id: str, body: Rebuild) -> Brief:
    """Put a server on a new root disk of an image; its id, ports and volumes stay."""
    check_hostname(request, body.hostname)
    row = find(tx, request, id)
    image = images.find(tx, request, body.image.rsplit("/", 1)[-1])
    root = local_root(tx, id)
    if root is None:
        raise BadRequest(f"Unable to rebuild with a different image for a volume-backed server: {id}.")
    check_root(image, row.flavor, local=True)
    check_kernel(tx, request, image, row.flavor["ram"])
    begin(tx, request, row, "rebuild", Task.REBUILDING, vm={Vm.ACTIVE, Vm.STOPPED, Vm.ERROR})
    changes: dict[str, t.Any] = {"image_id": image.id, "image_properties": image.properties, "root_epoch": row.root_epoch + 1}
    for field in ("name", "metadata", "disk_config", "description", "hostname"):
        if (value := getattr(body, field)) is not UNSET:
            changes[field] = value
    changes |= access_addresses(body)
    if body.user_data is not UNSET:
        changes["user_data"] = base64_text(body.user_data)
    changes |= _key(tx, request, body)
    tx.update(servers, id, **changes)
    tx.update(block_devices, root.id, image_id=image.id)
    RebuildServer.start(tx, id, request_id=request.id, stopped=row.vm_state == Vm.STOPPED)
    return rebuilt(tx, request, id, body.admin_pass or secrets.token_urlsafe(9))


def _key(tx: Tx, request: Request, body: Rebuild) -> dict[str, t.Any]:
    if body.key_name is UNSET:
        return {}
    if body.key_name is None:
        return {"key_name": None, "public_key": None}
    key = tx.get(keypairs, user_id=request.context.user_id, name=body.key_name)
    if key is None:
        raise BadRequest("Invalid key_name provided.")
    return {"key_name": key.name, "public_key": key.public_key}
