"""Resizing a server to another flavor, and saying yes or no to what came of it."""

from __future__ import annotations

import typing as t

from ... import placement
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Request, UnsetType
from .. import PROJECT_MEMBER, api
from ..migrations import note_migration, start_migration
from ..placing import place
from ..quotas import check_quota
from ..scheduler import NoValidHost
from ..workflows.resize import ResizeServer, RevertResize, settled_state
from .create import flavor_copy, named_flavor
from .disks import local_root
from .find import begin, find, target
from .states import Task, Vm
from .tables import block_devices, servers
from .views import wire


class Resize(Body):
    flavor: str | int = wire("flavorRef")
    disk_config: t.Literal["AUTO", "MANUAL"] | UnsetType = wire("OS-DCF:diskConfig", UNSET)


RESIZE = api.rule("os_compute_api:servers:resize", PROJECT_MEMBER, "Resize a server.")
CONFIRM = api.rule("os_compute_api:servers:confirm_resize", PROJECT_MEMBER, "Keep a server's new size.")
REVERT = api.rule("os_compute_api:servers:revert_resize", PROJECT_MEMBER, "Go back to a server's old size.")


@api.op("POST", "/servers/{id}/action", action="resize", policy=RESIZE, target=target, status=202, errors=(403, 404, 409))
def resize(tx: Tx, request: Request, id: str, body: Resize) -> None:
    """Give a server another flavor; its owner confirms or reverts when it is done.

    Until it is, the larger of both counts against quotas."""
    row = find(tx, request, id)
    begin(tx, request, row, "resize", Task.RESIZE_PREP, vm={Vm.ACTIVE, Vm.STOPPED})
    flavor = named_flavor(tx, request, body.flavor)
    old, new = row.flavor, flavor_copy(flavor)
    _check(tx, row, old, new)
    check_quota(tx, row.project_id, cores=max(0, new["vcpus"] - old["vcpus"]), ram=max(0, new["ram"] - old["ram"]))
    consumer = start_migration(tx, row, "resize", row.host, status="migrating").id
    local = _local_gib(tx, row, new)
    placement.move(tx, row.id, consumer)
    try:
        place(tx, row, local, host=row.host, flavor=new)
    except NoValidHost as error:
        raise BadRequest(str(error)) from None
    keep = {"flavor": old, "host": row.host, "consumer": consumer, "stopped": row.vm_state == Vm.STOPPED}
    most = {"vcpus": max(old["vcpus"], new["vcpus"]), "memory_mib": max(old["ram"], new["ram"])}
    tx.update(servers, row.id, resize=keep, **most, **({"disk_config": body.disk_config} if body.disk_config else {}))
    ResizeServer.start(tx, id, request_id=request.id, flavor=new)


@api.op("POST", "/servers/{id}/action", action="confirmResize", policy=CONFIRM, target=target, status=204, errors=(404, 409))
def confirm(tx: Tx, request: Request, id: str) -> None:
    """Keep the new size, and give back what the old one held."""
    row = find(tx, request, id)
    begin(tx, request, row, "confirmResize", None, vm={Vm.RESIZED})
    placement.release(tx, row.resize["consumer"])
    note_migration(tx, row.resize["consumer"], "confirmed")
    tx.update(servers, row.id, resize=None, **settled_state(row))


@api.op("POST", "/servers/{id}/action", action="revertResize", policy=REVERT, target=target, status=202, errors=(404, 409))
def revert(tx: Tx, request: Request, id: str) -> None:
    """Go back to the old size."""
    row = find(tx, request, id)
    begin(tx, request, row, "revertResize", Task.RESIZE_REVERTING, vm={Vm.RESIZED})
    note_migration(tx, row.resize["consumer"], "reverting")
    RevertResize.start(tx, id, request_id=request.id, flavor=row.flavor)


def _check(tx: Tx, row: Row, old: dict, new: dict) -> None:
    if new["id"] == old["id"]:
        raise BadRequest("When resizing, instances must change flavor!")
    if local_root(tx, row.id) and new["disk"] < old["disk"]:
        raise BadRequest(f"Resize to a smaller disk is not possible: from {old['disk']} GiB to {new['disk']} GiB.")


def _local_gib(tx: Tx, row: Row, flavor: dict) -> int:
    """GiB of local disk that the server takes with its new flavor."""
    disks = [disk for disk in tx.rows(block_devices, server_id=row.id) if disk.destination_type == "local"]
    return sum(flavor["disk"] if disk.boot_index == 0 else disk.size_gib for disk in disks)
