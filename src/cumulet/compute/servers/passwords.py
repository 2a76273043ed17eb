"""Passwords of servers' guests: setting one, and reading what a guest posted, encrypted for its key pair."""

from __future__ import annotations

from ...kernel.db import Tx
from ...kernel.http import Body, Conflict, Request
from .. import PROJECT_MEMBER, PROJECT_READER, api
from .create import Text
from .find import find, permit, target
from .states import Vm
from .tables import servers
from .views import wire


class ChangePassword(Body):
    admin_pass: Text = wire("adminPass")


CHANGE = api.rule("os_compute_api:os-admin-password", PROJECT_MEMBER, "Set the administrator's password of a server's guest.")
SHOW = api.rule("os_compute_api:os-server-password:show", PROJECT_READER, "Show the password that a server's guest posted.")
CLEAR = api.rule("os_compute_api:os-server-password:clear", PROJECT_MEMBER, "Forget the password that a server's guest posted.")

PATH = "/servers/{id}/os-server-password"


@api.op("POST", "/servers/{id}/action", action="changePassword", policy=CHANGE, target=target, status=202, errors=(404, 409))
def change(tx: Tx, request: Request, id: str, body: ChangePassword) -> None:
    """Refuse: only an agent inside the guest could set its password, and hosts speak to none."""
    permit(request, find(tx, request, id), "changePassword", vm={Vm.ACTIVE})
    raise Conflict(f"Failed to set admin password on {id}: Guest agent is not enabled for the instance")


@api.op("GET", PATH, policy=SHOW, target=target, reply="password", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> str:
    """Show the password that a server's guest posted, encrypted for its key pair; empty where it posted none."""
    return find(tx, request, id).admin_password or ""


@api.op("DELETE", PATH, policy=CLEAR, target=target, status=204, errors=(404,))
def clear(tx: Tx, request: Request, id: str) -> None:
    """Forget the password that a server's guest posted; the guest's own stays what it is."""
    find(tx, request, id)
    tx.update(servers, id, admin_password=None)
