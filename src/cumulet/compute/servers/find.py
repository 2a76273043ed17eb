"""Finding a server for a request, and refusing what its state does not allow."""

from __future__ import annotations

import typing as t

from ...kernel.db import Row, Tx
from ...kernel.http import Conflict, NotFound, Request
from .states import Task, Vm
from .tables import actions, servers

ANY_TASK = frozenset(Task) | {None}
IDLE = frozenset({None})


def find(tx: Tx, request: Request, id: str) -> Row:
    """The server, where it is the caller's (or the caller sees every project's). Raises NotFound."""
    row = tx.get(servers, id=id)
    if row is None or not (row.project_id == request.context.project_id or request.context.is_admin):
        raise NotFound(f"Instance {id} could not be found.")
    return row


def target(tx: Tx, request: Request, id: str, **_: str) -> dict:
    """What policy is checked against: the server's owner."""
    row = find(tx, request, id)
    return {"project_id": row.project_id, "user_id": row.user_id}


def permit(request: Request, row: Row, action: str, *, vm: t.Collection[Vm] | None = None,
           tasks: t.Collection[Task | None] = IDLE) -> None:  # fmt: skip
    """Refuse what a server's lock or state does not allow. Raises Conflict in the words clients know."""
    if row.locked_by and not request.context.is_admin:
        raise Conflict(f"Instance {row.id} is locked")
    if vm is not None and row.vm_state not in vm:
        raise Conflict(f"Cannot '{action}' instance {row.id} while it is in vm_state {row.vm_state}")
    if row.task_state not in tasks:
        raise Conflict(f"Cannot '{action}' instance {row.id} while it is in task_state {row.task_state}")


def need_host(row: Row) -> None:
    """Raises Conflict for a server that no host has."""
    if row.host is None:
        raise Conflict(f"Instance {row.id} is not ready")


def begin(tx: Tx, request: Request, row: Row, action: str, task: Task | None, *, vm: t.Collection[Vm] | None = None,
          tasks: t.Collection[Task | None] = IDLE, **values: t.Any) -> None:  # fmt: skip
    """Start doing something to a server: refuse it where its state or lock forbids, else set the task state and
    write down the action. Raises Conflict in the words clients know."""
    permit(request, row, action, vm=vm, tasks=tasks)
    if row.vm_state != Vm.SHELVED_OFFLOADED:
        need_host(row)
    tx.update(servers, row.id, task_state=task, **values)
    record(tx, request, row, action)


def record(tx: Tx, request: Request, row: Row, action: str) -> None:
    """Write down what was asked of a server."""
    tx.insert(
        actions, server_id=row.id, project_id=request.context.project_id or row.project_id,
        user_id=request.context.user_id, request_id=request.id, action=action, events=[],
    )  # fmt: skip
