"""What was asked of a server, and what came of it: `os-instance-actions`."""

from __future__ import annotations

import datetime as dt
import hashlib
import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, NotFound, Query, Request, paged
from ...kernel.work.tasks import DONE, LIVE, tasks
from .. import ADMIN, PROJECT_READER, api
from ..wire import changed_between
from .find import find
from .tables import actions, servers
from .views import wire

# -- wire ----------------------------------------------------------------------------------------------------------


class ActionsQuery(Query):
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None
    changes_since: str | None = wire("changes-since", None)
    changes_before: str | None = wire("changes-before", None)


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-instance-actions:list", PROJECT_READER, "List what was asked of a server.")
SHOW = api.rule("os_compute_api:os-instance-actions:show", PROJECT_READER, "Show what came of something asked of a server.")
EVENTS = api.rule("os_compute_api:os-instance-actions:events", ADMIN, "See where the steps of the work were done, and their errors.")
DETAILS = api.rule("os_compute_api:os-instance-actions:events:details", ADMIN, "See why steps of the work failed.")

# -- operations ----------------------------------------------------------------------------------------------------

PATH = "/servers/{id}/os-instance-actions"
DELETED_TOO = (2, 21)
"""From this microversion on, a server's actions outlive it."""


def _owner(tx: Tx, request: Request, id: str, **_: str) -> dict:
    return {"project_id": _project(tx, request, id)}


@api.op("GET", PATH, policy=LIST, target=_owner, errors=(400, 404))
def index(tx: Tx, request: Request, id: str, query: ActionsQuery) -> dict[str, t.Any]:
    """List what was asked of a server, the newest first."""
    _project(tx, request, id)
    statement = sa.select(actions).where(actions.c.server_id == id)
    marker = None
    if request.version >= (2, 58):
        statement = statement.where(*_moments(request, query))
        marker = _marker(tx, id, query.marker)
    rows, following = paged(
        tx, statement, actions, order=[("created_at", "desc")], marker=marker, most=request.runtime.config.page_limit,
        limit=query.limit if request.version >= (2, 58) else None,
    )  # fmt: skip
    works = _works(tx, id, [row.request_id for row in rows])
    listed: dict[str, t.Any] = {"instanceActions": [_action(request, row, works.get(row.request_id, [])) for row in rows]}
    if following is not None and request.version >= (2, 58):
        listed["links"] = [{"rel": "next", "href": request.link_to_page(rows[-1].request_id)}]
    return listed


@api.op("GET", PATH + "/{request_id}", policy=SHOW, target=_owner, reply="instanceAction", errors=(404,))
def show(tx: Tx, request: Request, id: str, request_id: str) -> dict[str, t.Any]:
    """Show what was asked of a server by one request, with the work that it began."""
    project = _project(tx, request, id)
    row = tx.first(sa.select(actions).where(actions.c.server_id == id, actions.c.request_id == request_id))
    if row is None:
        raise NotFound(f"Action {request_id} not found")
    works = _works(tx, id, [request_id]).get(request_id, [])
    shown = _action(request, row, works)
    whole = request.allows(EVENTS, {"project_id": project})
    if whole or request.version >= (2, 51):
        server = tx.get(servers, id=id)
        host = (server.host if server else None) or ""
        shown["events"] = [_event(request, work, project, host, whole) for work in works]
    return shown


# -- helpers -------------------------------------------------------------------------------------------------------

EVENT_NAMES = {
    "BootServer": "compute__do_build_and_run_instance", "DeleteServer": "compute_terminate_instance",
    "RebuildServer": "compute_rebuild_instance", "ResizeServer": "compute_finish_resize",
    "RevertResize": "compute_finish_revert_resize", "SnapshotServer": "compute_snapshot_instance",
    "SnapshotVolumes": "compute_snapshot_instance", "BackupServer": "compute_backup_instance", "RescueServer": "compute_rescue_instance",
    "UnrescueServer": "compute_unrescue_instance", "ShelveServer": "compute_shelve_instance",
    "OffloadServer": "compute_shelve_offload_instance", "UnshelveServer": "compute_unshelve_instance",
    "AttachVolume": "compute_attach_volume", "DetachVolume": "compute_detach_volume",
    "AttachInterface": "compute_attach_interface", "DetachInterface": "compute_detach_interface",
    "ExtendDisk": "compute_extend_volume",
}  # fmt: skip
"""The events that clients know the work by; what starts and stops servers is named by its change."""


def _project(tx: Tx, request: Request, id: str) -> str:
    """Whose the server is, or was. Raises NotFound."""
    if request.version >= DELETED_TOO and tx.get(servers, id=id) is None:
        first = tx.first(sa.select(actions).where(actions.c.server_id == id).order_by(actions.c.created_at).limit(1))
        if first is not None and (request.context.is_admin or first.project_id == request.context.project_id):
            return first.project_id
    return find(tx, request, id).project_id


def _works(tx: Tx, id: str, request_ids: list[str]) -> dict[str, list[Row]]:
    """The work on a server that these requests began, in its order."""
    found: dict[str, list[Row]] = {}
    wanted = sa.select(tasks).where(tasks.c.subject == id, tasks.c.request_id.in_(request_ids)).order_by(tasks.c.seq)
    for work in tx.all(wanted):
        if _name(work):
            found.setdefault(work.request_id, []).append(work)
    return found


def _name(work: Row) -> str | None:
    if work.saga == "PowerServer":
        return f"compute_{work.state['change'].partition('-')[0]}_instance"
    return EVENT_NAMES.get(work.saga)


def _action(request: Request, row: Row, works: list[Row]) -> dict[str, t.Any]:
    shown = {
        "action": row.action, "instance_uuid": row.server_id, "request_id": row.request_id, "user_id": row.user_id,
        "project_id": row.project_id, "start_time": _time(row.created_at),
        "message": "Error" if any(_result(work) == "Error" for work in works) else row.message,
    }  # fmt: skip
    if request.version >= (2, 58):
        shown["updated_at"] = _time(max([row.created_at, *(work.updated_at or work.created_at for work in works)]))
    return shown


def _event(request: Request, work: Row, project: str, host: str, whole: bool) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {
        "event": _name(work), "start_time": _time(work.created_at), "result": _result(work),
        "finish_time": None if work.status == LIVE else _time(work.updated_at or work.created_at),
    }  # fmt: skip
    if whole:
        shown["traceback"] = work.error
    if request.version >= (2, 62):
        shown["hostId"] = hashlib.sha224((project + host).encode()).hexdigest() if host else ""
        if whole:
            shown["host"] = host
    if request.version >= (2, 84) and request.allows(DETAILS, {"project_id": project}):
        shown["details"] = work.error
    return shown


def _result(work: Row) -> str | None:
    return None if work.status == LIVE else "Success" if work.status == DONE else "Error"


def _time(moment: dt.datetime) -> str | None:
    return clock.iso(moment, micro=True, zone="")


def _marker(tx: Tx, id: str, request_id: str | None) -> str | None:
    if request_id is None:
        return None
    row = tx.first(sa.select(actions.c.id).where(actions.c.server_id == id, actions.c.request_id == request_id))
    if row is None:
        raise BadRequest(f"Marker {request_id} could not be found.")
    return row.id


def _moments(request: Request, query: ActionsQuery) -> list[sa.ColumnElement[bool]]:
    """Actions by when something last came of them."""
    mine = (tasks.c.subject == actions.c.server_id) & (tasks.c.request_id == actions.c.request_id)
    last = sa.select(sa.func.max(sa.func.coalesce(tasks.c.updated_at, tasks.c.created_at))).where(mine).scalar_subquery()
    changed = sa.func.coalesce(last, actions.c.created_at)
    return list(changed_between(changed, query.changes_since, query.changes_before if request.version >= (2, 66) else None))
