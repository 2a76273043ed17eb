"""How a host reaches a volume: `os-initialize_connection` and its end, which ask the volume's host."""

from __future__ import annotations

import typing as t

from ..kernel.bus import AgentError, AgentUnreachable
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, Request, Unavailable
from ..kernel.runtime import Runtime
from . import MEMBER, api
from .actions import check_not_computes
from .lookup import find
from .tables import attachments
from .uses import connect
from .volumes import target

INITIALIZE = api.rule("volume_extension:volume_actions:initialize_connection", MEMBER, "Learn how a host reaches a volume.")
TERMINATE = api.rule("volume_extension:volume_actions:terminate_connection", MEMBER, "End a host's connection to a volume.")

PATH = "/volumes/{id}/action"
CONNECTABLE = ("available", "attaching", "in-use", "reserved")


class Initialize(Body):
    connector: dict[str, t.Any] | str


class Terminate(Body):
    connector: dict[str, t.Any] | str | None


@api.op("POST", PATH, action="os-initialize_connection", policy=INITIALIZE, target=target, reply="connection_info", errors=(400, 404, 503))
async def initialize(request: Request, id: str, body: Initialize) -> dict:
    """Learn how a host reaches a volume."""
    row = await request.runtime.db.read(lambda tx: find(tx, request.context, id))
    return await connection_info(request.runtime, row, body.connector)


@api.op("POST", PATH, action="os-terminate_connection", policy=TERMINATE, target=target, status=202, errors=(400, 404, 409))
def terminate(tx: Tx, request: Request, id: str, body: Terminate) -> None:
    """End a host's connection; the file back end has nothing to end, so only a guest's is refused."""
    for use in tx.rows(attachments, volume_id=find(tx, request.context, id).id):
        check_not_computes(use)


async def connection_info(runtime: Runtime, row: Row, connector: dict[str, t.Any] | str) -> dict:
    """What a volume's host says of how another reaches it. Raises BadRequest, Unavailable."""
    host = connector.get("host") if isinstance(connector, dict) else None
    if not isinstance(host, str) or not 1 <= len(host) <= 255 or "\x00" in host:
        raise BadRequest("Invalid input received: Connector doesn't have required information: host")
    if row.status not in CONNECTABLE:
        raise BadRequest(
            f"Invalid volume: Volume {row.id} status must be {' or '.join(CONNECTABLE)} to connect, but current status is: {row.status}."
        )
    try:
        data = await connect(runtime, row.id, host)
    except AgentUnreachable as error:
        raise Unavailable(str(error)) from None
    except AgentError as error:
        raise BadRequest(f"Invalid volume: Unable to fetch connection information from backend: {error}") from None
    read_only = row.admin_metadata.get("readonly") == "True"
    return {
        "driver_volume_type": data["driver"],
        "data": data | {"access_mode": "ro" if read_only else "rw", "encrypted": False, "qos_specs": None},
    }
