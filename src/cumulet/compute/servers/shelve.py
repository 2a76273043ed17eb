"""Shelving servers: keeping them without a host."""

from __future__ import annotations

import typing as t

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, Request, UnsetType, since
from .. import ADMIN, PROJECT_MEMBER, api
from ..placing import settle_on_host
from ..scheduler import NoValidHost
from ..wire import Name
from ..workflows.shelve import OffloadServer, ShelveServer, UnshelveServer
from .create import Text
from .disks import local_root
from .find import begin, find, target
from .snapshot import SNAPSHOTTABLE, reserve
from .states import Task, Vm
from .tables import servers
from .views import wire


class Unshelve(Body):
    zone: t.Annotated[Name | None | UnsetType, since("2.77")] = wire("availability_zone", UNSET)
    host: t.Annotated[Text | UnsetType, since("2.91")] = UNSET


SHELVE = api.rule("os_compute_api:os-shelve:shelve", PROJECT_MEMBER, "Shelve a server.")
OFFLOAD = api.rule("os_compute_api:os-shelve:shelve_offload", ADMIN, "Take a shelved server off its host.")
UNSHELVE = api.rule("os_compute_api:os-shelve:unshelve", PROJECT_MEMBER, "Unshelve a server.")
TO_HOST = api.rule("os_compute_api:os-shelve:unshelve_to_host", ADMIN, "Unshelve a server to a host that is named.")


@api.op("POST", "/servers/{id}/action", action="shelve", policy=SHELVE, target=target, status=202, errors=(404, 409))
def shelve(tx: Tx, request: Request, id: str) -> None:
    """Make an image of a server's disk and take it off its host."""
    row = find(tx, request, id)
    begin(tx, request, row, "shelve", Task.SHELVING, vm=SNAPSHOTTABLE)
    image_id = reserve(tx, request, row, f"{row.name[:247]}-shelved", "snapshot", {}) if local_root(tx, id) else None
    ShelveServer.start(tx, id, request_id=request.id, image=image_id, stopped=row.vm_state == Vm.STOPPED)


@api.op("POST", "/servers/{id}/action", action="shelveOffload", policy=OFFLOAD, target=target, status=202, errors=(404, 409))
def offload(tx: Tx, request: Request, id: str) -> None:
    """Take a server off its host that is shelved and still there."""
    row = find(tx, request, id)
    begin(tx, request, row, "shelveOffload", Task.OFFLOADING, vm={Vm.SHELVED})
    OffloadServer.start(tx, id, request_id=request.id)


@api.op("POST", "/servers/{id}/action", action="unshelve", policy=UNSHELVE, target=target, status=202, errors=(400, 404, 409))
def unshelve(tx: Tx, request: Request, id: str, body: Unshelve | None) -> None:
    """Boot a shelved server again, wherever there is room."""
    row, wanted = find(tx, request, id), body or Unshelve()
    begin(tx, request, row, "unshelve", Task.UNSHELVING, vm={Vm.SHELVED, Vm.SHELVED_OFFLOADED})
    if body is not None:
        _check(request, row, wanted)
    tx.update(servers, id, root_epoch=row.root_epoch + 1)
    if row.vm_state == Vm.SHELVED_OFFLOADED:
        _place(tx, row, wanted)
    UnshelveServer.start(tx, id, request_id=request.id)


def _check(request: Request, row: Row, wanted: Unshelve) -> None:
    if request.version < (2, 77):
        return
    if request.version < (2, 91) and not wanted.zone:
        raise BadRequest("Invalid input for field/attribute unshelve. 'availability_zone' is a required property")
    if row.vm_state == Vm.SHELVED:
        raise Conflict(
            f'Specifying an availability zone or a host when unshelving server "{row.id}" with status "SHELVED" is not supported. '
            f'It must be "SHELVED_OFFLOADED".'
        )
    if wanted.host:
        request.enforce(TO_HOST, {"project_id": row.project_id, "user_id": row.user_id})


def _place(tx: Tx, row: Row, wanted: Unshelve) -> None:
    """A host for an offloaded server, in the zone asked for or its own; null unpins it. Raises Conflict where none has room."""
    zone = row.availability_zone if wanted.zone is UNSET else wanted.zone
    try:
        settle_on_host(tx, row, zone=zone, host=wanted.host or None)
    except NoValidHost as error:
        raise Conflict(str(error)) from None
    tx.update(servers, row.id, availability_zone=zone)
