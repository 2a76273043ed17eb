"""Bindings: the hosts that a port may be on. It is on one, its active binding; others wait to be made active in its place.

An active binding is the port's own host, and an inactive one is a row here: nothing of it is on its host before it is activated.
"""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx, table
from ...kernel.http import UNSET, Conflict, NotFound, Request, UnsetType, View
from ..bodies import Attributes, Json, ProjectId, one
from ..resource import find, revise
from ..service import ADMIN, api
from ..tables import part_of, ports
from .wire import VnicType, vif_details, vif_type

# -- table ---------------------------------------------------------------------------------------------------------

port_bindings = table(
    "port_bindings",
    part_of("ports"),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("vnic_type", sa.String(64), nullable=False),
    sa.Column("profile", sa.JSON, nullable=False),
    unique={("port_id", "host"): ("Binding for port {port_id} on host {host} already exists.", "PortBindingAlreadyExists")},
)
"""The inactive ones."""

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"

# -- wire ----------------------------------------------------------------------------------------------------------

Host = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class BindingUpdate(Attributes, kw_only=True):
    vnic_type: VnicType | UnsetType = UNSET
    profile: dict[str, t.Any] | None | UnsetType = UNSET


class BindingCreate(BindingUpdate, kw_only=True):
    host: Host
    project_id: ProjectId | UnsetType = UNSET


class Binding(View, kw_only=True):
    host: str
    status: str
    vif_type: str
    vif_details: Json
    vnic_type: str
    profile: Json
    project_id: str


# -- policy --------------------------------------------------------------------------------------------------------

TRUSTED = f"{ADMIN} or rule:service_api"
GET = api.rule("get_port_binding", TRUSTED, "Show the bindings of a port.")
CREATE = api.rule("create_port_binding", TRUSTED, "Create a binding of a port.")
UPDATE = api.rule("update_port_binding", TRUSTED, "Change a binding of a port.")
DELETE = api.rule("delete_port_binding", TRUSTED, "Delete a binding of a port.")
ACTIVATE = api.rule("activate", TRUSTED, "Move a port to the host of a binding.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/ports/{id}/bindings", policy=GET, reply="bindings", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[Binding]:
    """List the bindings of a port, the active one first."""
    port = _port(tx, id)
    waiting = [_view(port, row, INACTIVE) for row in tx.rows(port_bindings, port_id=id, order=port_bindings.c.host)]
    return [*([_view(port, port, ACTIVE)] if port.host else []), *waiting]


@api.op("POST", "/ports/{id}/bindings", policy=CREATE, reply="binding", status=201, errors=(404, 409))
def create(tx: Tx, request: Request, id: str, body: Json) -> Binding:
    """Bind a port to one more host: at once, if it is on none."""
    port, wanted = _port(tx, id), one(body, "binding", BindingCreate)
    values = {"host": wanted.host, "vnic_type": wanted.vnic_type or "normal", "profile": wanted.profile or {}}
    if port.host == wanted.host:
        raise Conflict(f"Binding for port {id} on host {wanted.host} already exists.", kind="PortBindingAlreadyExists")
    if port.host:
        return _view(port, tx.insert(port_bindings, port_id=id, **values), INACTIVE)
    tx.nudge("network")
    bound = revise(tx, ports, port, **values, status="DOWN")
    return _view(bound, bound, ACTIVE)


@api.op("PUT", "/ports/{id}/bindings/{host}", policy=UPDATE, reply="binding", errors=(404,))
def update(tx: Tx, request: Request, id: str, host: str, body: Json) -> Binding:
    """Change a binding's type and profile."""
    port, given = _port(tx, id), one(body, "binding", BindingUpdate).given()
    if "profile" in given:
        given["profile"] = given["profile"] or {}
    if port.host == host:
        bound = revise(tx, ports, port, **given)
        return _view(bound, bound, ACTIVE)
    tx.update(port_bindings, _waiting(tx, id, host).id, **given)
    return _view(port, _waiting(tx, id, host), INACTIVE)


@api.op("PUT", "/ports/{id}/bindings/{host}/activate", policy=ACTIVATE, reply="binding", errors=(404, 409))
def activate(tx: Tx, request: Request, id: str, host: str) -> Binding:
    """Move a port to a binding's host. What was its active binding waits in its place."""
    port = _port(tx, id)
    if port.host == host:
        raise Conflict(f"Binding for port {id} on host {host} is already active.", kind="PortBindingAlreadyActive")
    row = _waiting(tx, id, host)
    tx.delete(port_bindings, id=row.id)
    if port.host:
        tx.insert(port_bindings, port_id=id, host=port.host, vnic_type=port.vnic_type, profile=port.profile)
    tx.nudge("network")
    moved = revise(tx, ports, port, host=host, vnic_type=row.vnic_type, profile=row.profile, status="DOWN")
    return _view(moved, moved, ACTIVE)


@api.op("DELETE", "/ports/{id}/bindings/{host}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str, host: str) -> None:
    """Delete a binding. A port whose active one goes is on no host."""
    port = _port(tx, id)
    if port.host == host:
        revise(tx, ports, port, host="", status="DOWN")
        tx.nudge("network")
    else:
        tx.delete(port_bindings, id=_waiting(tx, id, host).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _port(tx: Tx, id: str) -> Row:
    return find(tx, ports, id, "Port", sa.true())


def _waiting(tx: Tx, id: str, host: str) -> Row:
    row = tx.get(port_bindings, port_id=id, host=host)
    if row is None:
        raise NotFound(f"Binding for port {id} for host {host} could not be found.", kind="PortBindingNotFound")
    return row


def _view(port: Row, row: Row, status: str) -> Binding:
    return Binding(
        host=row.host, status=status, vif_type=vif_type(row), vif_details=vif_details(row), vnic_type=row.vnic_type, profile=row.profile,
        project_id=port.project_id,
    )  # fmt: skip
