"""Events of the Cloud Auditing Data Federation (DMTF DSP0262), with the keys that pyCADF gives them, and the table in which they
wait until they are told. An event's row commits with what it tells of. There is nothing in one but who, where from, what and
which: neither bodies nor tokens."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from .. import clock, ids
from ..db import Tx, table

if t.TYPE_CHECKING:
    from ..http.request import Request

EVENT = "http://schemas.dmtf.org/cloud/audit/1.0/event"
USER = "service/security/account/user"
AGENT_MAX = 256
"""Characters of a client's name of itself that are kept."""

waiting = table(
    "audit_events",
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("message_id", sa.String(36), nullable=False),
    sa.Column("publisher", sa.String(32), nullable=False),
    sa.Column("event_type", sa.String(128), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("taken_until", sa.DateTime),
    id=False,
)
"""What was not told yet, in the order of `number`. `taken_until`: a process is telling it, and has until then."""

TOPIC = "audit"
"""What is nudged when there is something to tell."""


class Noted(t.NamedTuple):
    """What was done: `created`, `updated` or `deleted`, to a resource (`user`) of a CADF type with an id. `more` are further
    attributes of the event."""

    resource: str
    action: str
    type: str
    id: str | None
    more: dict[str, t.Any] = {}


def record(tx: Tx, request: Request, noted: Noted, observer: str | None, status: int) -> None:
    """Record what a request did to a resource."""
    target = {"id": noted.id or "unknown", "typeURI": noted.type}
    more = ({"resource_info": noted.id} if noted.id else {}) | noted.more
    event = _event(request, f"{noted.action}.{noted.resource}", "success", target, observer, str(status)) | more
    _keep(tx, request, f"{noted.resource}.{noted.action}", event)


def authentication(tx: Tx, request: Request, user_id: str | None, outcome: str, observer: str | None, status: int) -> None:
    """Record that somebody proved who they are (`success`), did half of it (`pending`), or did not (`failure`)."""
    who = {"id": user_id or "unknown", "typeURI": USER} | ({"user_id": user_id} if user_id else {})
    event = _event(request, "authenticate", outcome, {"id": user_id or "unknown", "typeURI": USER}, observer, str(status))
    _keep(tx, request, "authenticate", event | {"initiator": event["initiator"] | who})


def _keep(tx: Tx, request: Request, what: str, event: dict) -> None:
    kind = f"{request.api.service}.{what}"
    tx.insert(waiting, message_id=ids.new(), publisher=request.api.service, event_type=kind, payload=event, taken_until=None)
    tx.nudge(TOPIC)


def _event(request: Request, action: str, outcome: str, target: dict, observer: str | None, status: str) -> dict[str, t.Any]:
    return {
        "typeURI": EVENT, "eventType": "activity", "id": ids.new(), "eventTime": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "action": action, "outcome": outcome, "initiator": _initiator(request), "target": target,
        "observer": {"id": observer or request.api.service, "typeURI": "service/security"},
        "reason": {"reasonType": "HTTP", "reasonCode": status},
    }  # fmt: skip


def _initiator(request: Request) -> dict[str, t.Any]:
    """Who asked, with what, and from where."""
    context = request.context
    known = {
        "name": context.user_name, "username": context.user_name, "user_id": context.user_id, "project_id": context.project_id,
        "domain_id": context.domain_id, "trust_id": context.trust_id, "application_credential_id": context.app_credential_id,
        "request_id": request.id,
    }  # fmt: skip
    host = {"address": request.peer or None, "agent": request.headers.get("user-agent", "")[:AGENT_MAX] or None}
    whole = {"id": context.user_id or "unknown", "typeURI": USER, "host": {name: value for name, value in host.items() if value}}
    return whole | {name: value for name, value in known.items() if value is not None}


class Told(msgspec.Struct, kw_only=True):
    """A notification as services of this kind send them (oslo.messaging's notifier)."""

    message_id: str
    publisher_id: str
    event_type: str
    priority: str = "INFO"
    payload: dict[str, t.Any]
    timestamp: str
