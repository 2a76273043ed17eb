"""Moving servers to other hosts: `migrate`, `os-migrateLive`, `evacuate`, and the list of moves under way.

A server's root disk is a file of its host, so that there is no move yet that would keep it: each is checked as far as it
goes and refused with the reason.
"""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Request, UnsetType, since, until
from .. import ADMIN, api
from ..hosts import COMPUTE, compute_services, is_up
from ..wire import Truth, truth
from .create import Text
from .find import ANY_TASK, find, need_host, permit, target
from .states import Vm
from .views import wire

# -- wire ----------------------------------------------------------------------------------------------------------

Host = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


class Migrate(Body):
    host: t.Annotated[Host | None | UnsetType, since("2.56")] = UNSET


class MigrateLive(Body):
    host: Host | None
    block_migration: Truth | t.Literal["auto"]
    disk_over_commit: t.Annotated[Truth | UnsetType, until("2.24")] = UNSET
    force: t.Annotated[Truth | UnsetType, since("2.30"), until("2.67")] = UNSET


class Evacuate(Body):
    host: Host | UnsetType = UNSET
    shared: t.Annotated[Truth | UnsetType, until("2.13")] = wire("onSharedStorage", UNSET)
    admin_pass: Text | UnsetType = wire("adminPass", UNSET)
    force: t.Annotated[Truth | UnsetType, since("2.29"), until("2.67")] = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

MANAGER = "rule:project_manager_or_admin"
MIGRATE = api.rule("os_compute_api:os-migrate-server:migrate", MANAGER, "Move a server to another host.")
MIGRATE_HOST = api.rule("os_compute_api:os-migrate-server:migrate:host", ADMIN, "Move a server to a host that is named.")
LIVE = api.rule("os_compute_api:os-migrate-server:migrate_live", MANAGER, "Move a running server to another host.")
LIVE_HOST = api.rule("os_compute_api:os-migrate-server:migrate_live:host", ADMIN, "Move a running server to a host that is named.")
EVACUATE = api.rule("os_compute_api:os-evacuate", ADMIN, "Build a server anew whose host failed.")
INDEX = api.rule("os_compute_api:servers:migrations:index", MANAGER, "List a server's moves that are under way.")
SHOW = api.rule("os_compute_api:servers:migrations:show", ADMIN, "Show a server's move that is under way.")
COMPLETE = api.rule("os_compute_api:servers:migrations:force_complete", MANAGER, "Have a move under way end soon.")
ABORT = api.rule("os_compute_api:servers:migrations:delete", MANAGER, "Abort a move that is under way.")

# -- operations ----------------------------------------------------------------------------------------------------

ACTION, PATH = "/servers/{id}/action", "/servers/{id}/migrations"


@api.op("POST", ACTION, action="migrate", policy=MIGRATE, target=target, status=202, errors=(400, 403, 404, 409))
def migrate(tx: Tx, request: Request, id: str, body: Migrate | None) -> None:
    """Move a stopped or running server to another host."""
    row = find(tx, request, id)
    host = body.host if body is not None and body.host else None
    _permit(request, row, "migrate", {Vm.ACTIVE, Vm.STOPPED}, MIGRATE_HOST if host else None)
    raise _refusal(tx, row, host)


@api.op("POST", ACTION, action="os-migrateLive", policy=LIVE, target=target, status=202, errors=(400, 403, 404, 409))
def migrate_live(tx: Tx, request: Request, id: str, body: MigrateLive) -> None:
    """Move a running server to another host while it runs."""
    row = find(tx, request, id)
    _permit(request, row, "os-migrateLive", {Vm.ACTIVE, Vm.PAUSED}, LIVE_HOST if body.host else None)
    if request.version < (2, 25) and (body.disk_over_commit is UNSET or body.block_migration == "auto"):
        raise BadRequest(
            "Invalid input for field/attribute os-migrateLive. Until 2.24 disk_over_commit and block_migration must be booleans"
        )
    if body.force is not UNSET and truth(body.force) and not body.host:
        raise BadRequest("Can't force to a non-provided destination")
    raise _refusal(tx, row, body.host)


@api.op("POST", ACTION, action="evacuate", policy=EVACUATE, target=target, errors=(400, 404, 409))
def evacuate(tx: Tx, request: Request, id: str, body: Evacuate) -> None:
    """Build a server anew elsewhere whose host is down."""
    row = find(tx, request, id)
    if request.version < (2, 14) and body.shared is UNSET:
        raise BadRequest("Invalid input for field/attribute evacuate. 'onSharedStorage' is a required property")
    if body.host and tx.get(compute_services, host=body.host, binary=COMPUTE) is None:
        raise NotFound(f"Compute host {body.host} not found.")
    if body.host and body.host == row.host:
        raise BadRequest("The target host can't be the same one.")
    permit(request, row, "evacuate", vm={Vm.ACTIVE, Vm.STOPPED, Vm.ERROR}, tasks=ANY_TASK)
    need_host(row)
    service = tx.get(compute_services, host=row.host, binary=COMPUTE)
    if service is not None and is_up(service):
        raise BadRequest(f"Compute service of {row.host} is still in use.")
    raise _refusal(tx, row, body.host or None)


@api.op("GET", PATH, policy=INDEX, target=target, reply="migrations", first="2.23", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[dict]:
    """List a server's moves that are under way: none."""
    find(tx, request, id)
    return []


@api.op("GET", PATH + "/{number}", policy=SHOW, target=target, reply="migration", first="2.23", errors=(404,))
def show(tx: Tx, request: Request, id: str, number: str) -> None:
    """Show a server's move that is under way."""
    find(tx, request, id)
    raise NotFound(f"In-progress live migration {number} is not found for server {id}.")


@api.op("POST", PATH + "/{number}/action", action="force_complete", policy=COMPLETE, target=target, status=202, first="2.22",
        errors=(400, 404, 409))  # fmt: skip
def force_complete(tx: Tx, request: Request, id: str, number: str) -> None:
    """Have a server's move end soon."""
    row = find(tx, request, id)
    raise Conflict(f"Cannot 'force_complete' instance {row.id} while it is in task_state {row.task_state}")


@api.op("DELETE", PATH + "/{number}", policy=ABORT, target=target, status=202, first="2.24", errors=(400, 404, 409))
def abort(tx: Tx, request: Request, id: str, number: str) -> None:
    """Abort a server's move."""
    row = find(tx, request, id)
    raise Conflict(f"Cannot 'abort live migration' instance {row.id} while it is in task_state {row.task_state}")


# -- helpers -------------------------------------------------------------------------------------------------------


def _permit(request: Request, row: Row, action: str, vm: set[Vm], rule: str | None) -> None:
    if rule:
        request.enforce(rule, {"project_id": row.project_id, "user_id": row.user_id})
    permit(request, row, action, vm=vm)
    need_host(row)


def _refusal(tx: Tx, row: Row, host: str | None) -> BadRequest:
    """Why a server cannot move: where to, or with what."""
    services = {service.host: service for service in tx.rows(compute_services, binary=COMPUTE)}
    if host and host not in services:
        return BadRequest(f"Compute host {host} could not be found.")
    if host and host == row.host:
        return BadRequest(f"No valid host was found. Unable to migrate instance ({row.id}) to current host ({host}).")
    if not any(is_up(service) for name, service in services.items() if name != row.host):
        return BadRequest(f"No valid host was found. There is no other host that is up than {row.host}, where server {row.id} is.")
    return BadRequest(
        f"No valid host was found. The disks of server {row.id} are files of host {row.host}, and other hosts cannot reach them."
    )
