"""What administrators do to servers out of turn, and what of it there is no means for here."""

from __future__ import annotations

import typing as t

from ...kernel.db import Tx
from ...kernel.http import BadRequest, Body, Conflict, Gone, Request
from .. import ADMIN, PROJECT_MEMBER, api
from ..workflows.delete import delete
from .find import ANY_TASK, find, permit, record, target
from .states import Task, Vm
from .tables import servers

# -- wire ----------------------------------------------------------------------------------------------------------


class ResetState(Body):
    state: t.Literal["active", "error"]


# -- policy --------------------------------------------------------------------------------------------------------

RESET = api.rule("os_compute_api:os-admin-actions:reset_state", ADMIN, "Say what state a server is in.")
INJECT = api.rule("os_compute_api:os-admin-actions:inject_network_info", ADMIN, "Tell a server's guest of its network anew.")
FORCE = api.rule("os_compute_api:os-deferred-delete:force", PROJECT_MEMBER, "Delete a server at once.")
RESTORE = api.rule("os_compute_api:os-deferred-delete:restore", PROJECT_MEMBER, "Bring back a deleted server.")
CRASH = api.rule("os_compute_api:servers:trigger_crash_dump", PROJECT_MEMBER, "Have a server's kernel dump its memory.")

# -- operations ----------------------------------------------------------------------------------------------------

ACTION = "/servers/{id}/action"


@api.op("POST", ACTION, action="os-resetState", policy=RESET, target=target, status=202, errors=(400, 404))
def reset_state(tx: Tx, request: Request, id: str, body: ResetState) -> None:
    """Say what state a server is in, and that nothing is being done to it."""
    row = find(tx, request, id)
    tx.update(servers, id, vm_state=Vm(body.state), task_state=None)
    record(tx, request, row, "resetState")


@api.op("POST", ACTION, action="resetNetwork", policy=None, errors=(410,))
def reset_network(tx: Tx, request: Request, id: str) -> None:
    """Answer that this was removed: it was for Xen guests alone."""
    raise Gone("resetNetwork worked with the Xen driver only, and was removed with it.")


@api.op("POST", ACTION, action="injectNetworkInfo", policy=INJECT, target=target, status=202, errors=(404, 409))
def inject_network(tx: Tx, request: Request, id: str) -> None:
    """Have a server's network made anew on its host; guests learn of it by DHCP and from the metadata service."""
    permit(request, find(tx, request, id), "injectNetworkInfo", tasks=ANY_TASK)
    tx.nudge("network")


@api.op("POST", ACTION, action="forceDelete", policy=FORCE, target=target, status=202, errors=(404, 409))
def force_delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a server, whatever it is doing; deleting is never deferred here."""
    row = find(tx, request, id)
    permit(request, row, "forceDelete", tasks=ANY_TASK)
    if row.task_state != Task.DELETING:
        record(tx, request, row, "delete")
        delete(tx, row, request.id)


@api.op("POST", ACTION, action="restore", policy=RESTORE, target=target, status=202, errors=(404, 409))
def restore(tx: Tx, request: Request, id: str) -> None:
    """Refuse: what is deleted is gone, and what is there need not be brought back."""
    row = find(tx, request, id)
    raise Conflict(f"Cannot 'restore' instance {id} while it is in vm_state {row.vm_state}")


@api.op("POST", ACTION, action="trigger_crash_dump", policy=CRASH, target=target, status=202, first="2.17", errors=(400, 404, 409))
def crash_dump(tx: Tx, request: Request, id: str) -> None:
    """Refuse: hosts have no means to interrupt a guest's kernel."""
    permit(request, find(tx, request, id), "trigger_crash_dump", vm={Vm.ACTIVE, Vm.PAUSED, Vm.RESCUED, Vm.RESIZED, Vm.ERROR})
    raise BadRequest("Triggering crash dump is not supported")
