"""A server's security groups: those of all its ports."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, NotFound, Request
from ...network.ports.rows import groups_of, set_groups
from ...network.resource import revise
from ...network.security_groups import named_groups
from ...network.security_groups.tables import security_groups
from ...network.tables import ports
from .. import PROJECT_MEMBER, PROJECT_READER, api
from ..security_groups import group_views
from .create import Text
from .find import find, target


class Named(Body):
    name: t.Annotated[Text, msgspec.Meta(min_length=1)]


LIST = api.rule("os_compute_api:os-security-groups:list", PROJECT_READER, "List a server's security groups.")
ADD = api.rule("os_compute_api:os-security-groups:add", PROJECT_MEMBER, "Put a server into a security group.")
REMOVE = api.rule("os_compute_api:os-security-groups:remove", PROJECT_MEMBER, "Take a server out of a security group.")

ACTION = "/servers/{id}/action"


@api.op("GET", "/servers/{id}/os-security-groups", policy=LIST, target=target, reply="security_groups", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[dict]:
    """List a server's security groups, with their incoming rules."""
    find(tx, request, id)
    ids = {group for held in groups_of(tx, [port.id for port in _ports(tx, id)]).values() for group in held}
    c = security_groups.c
    return group_views(tx, tx.all(sa.select(security_groups).where(c.id.in_(ids)).order_by(c.project_id, c.name)))


@api.op("POST", ACTION, action="addSecurityGroup", policy=ADD, target=target, status=202, errors=(400, 404, 409))
def add(tx: Tx, request: Request, id: str, body: Named) -> None:
    """Put all of a server's ports into a security group."""
    row = find(tx, request, id)
    group = _group(tx, row, body.name)
    for port in _ports(tx, id, body.name):
        if not port.port_security_enabled:
            raise BadRequest(f"Security group {body.name} cannot be applied: port {port.id} has no port security.")
        _put(tx, port, [*groups_of(tx, [port.id])[port.id], group])


@api.op("POST", ACTION, action="removeSecurityGroup", policy=REMOVE, target=target, status=202, errors=(400, 404, 409))
def remove(tx: Tx, request: Request, id: str, body: Named) -> None:
    """Take those of a server's ports out of a security group that are in it."""
    row = find(tx, request, id)
    group = _group(tx, row, body.name)
    held = groups_of(tx, [port.id for port in _ports(tx, id, body.name)])
    if not any(group in groups for groups in held.values()):
        raise NotFound(f"Security group {body.name} not associated with the instance {id}")
    for port in _ports(tx, id):
        _put(tx, port, [one for one in held[port.id] if one != group])


def _ports(tx: Tx, id: str, wanted_for: str | None = None) -> list[Row]:
    """A server's ports. wanted_for: the group that they are to be put into; raises NotFound where there are none."""
    found = tx.rows(ports, device_id=id, order=ports.c.created_at)
    if wanted_for and not found:
        raise NotFound(f"instance_id {id} could not be found as device id on any ports")
    return found


def _group(tx: Tx, row: Row, name: str) -> str:
    try:
        return named_groups(tx, row.project_id, [name])[0]
    except BadRequest as error:
        raise NotFound(error.message) from None


def _put(tx: Tx, port: Row, groups: list[str]) -> None:
    set_groups(tx, port.id, groups)
    revise(tx, ports, port)
    tx.nudge("network")
