"""Opening a server's console: tokens that are good once, and the addresses they are part of."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import typing as t
from urllib.parse import urlencode, urlsplit

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Body, Conflict, NotFound, Reply, Request, View, since
from ...kernel.runtime import Runtime
from .. import ADMIN, PROJECT_MEMBER, api
from ..console_page import BELOW, PAGE
from .ask import ask, found
from .find import find, target
from .states import Task
from .tables import console_tokens, servers

# -- wire ----------------------------------------------------------------------------------------------------------


class RemoteConsole(Body):
    protocol: t.Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: t.Literal["novnc", "xvpvnc", "spice-html5", "spice-direct", "serial", "rdp-html5", "webmks"]


class RemoteConsoleView(View):
    protocol: str
    type: str
    url: str


class VncConsole(Body):
    type: t.Literal["novnc", "xvpvnc"]


class SpiceConsole(Body):
    type: t.Literal["spice-html5"]


class SerialConsole(Body):
    type: t.Literal["serial"]


class Connection(View):
    instance_uuid: str
    host: str
    port: int
    internal_access_path: str | None
    tls_port: t.Annotated[int | None, since("2.99")] = None


# -- policy --------------------------------------------------------------------------------------------------------

OPEN = api.rule("os_compute_api:os-remote-consoles", PROJECT_MEMBER, "Open a server's console.")
SHOW = api.rule("os_compute_api:os-console-auth-tokens", ADMIN, "See where a console's token leads.")

# -- operations ----------------------------------------------------------------------------------------------------

NEWER = {"mks": (2, 8), "webmks": (2, 8), "spice-direct": (2, 99)}
"""Protocols and types that did not exist before a microversion."""
KINDS = {"novnc": "vnc", "serial": "serial"}
"""The types of consoles that there are, and what the hosts call them."""
ACTION = "/servers/{id}/action"


@api.op("POST", "/servers/{id}/remote-consoles", policy=OPEN, target=target, wrap="remote_console", first="2.6", errors=(400, 404, 409))
async def create(request: Request, id: str, body: RemoteConsole) -> RemoteConsoleView:
    """Open a server's console."""
    for asked in (body.protocol, body.type):
        if request.version < NEWER.get(asked, (0, 0)):
            raise BadRequest(f"Invalid input for field/attribute remote_console. Value: {asked}. This microversion does not have it.")
    if KINDS.get(body.type) != body.protocol:
        raise BadRequest(f"Unavailable console type {body.type}.")
    return RemoteConsoleView(protocol=body.protocol, type=body.type, url=await _open(request, id, body.type))


@api.op("POST", ACTION, action="os-getVNCConsole", policy=OPEN, target=target, last="2.5", errors=(400, 404, 409))
async def vnc(request: Request, id: str, body: VncConsole) -> Reply:
    """Open a server's screen."""
    return await _console(request, id, body.type)


@api.op("POST", ACTION, action="os-getSPICEConsole", policy=OPEN, target=target, last="2.5", errors=(400, 404, 409))
async def spice(request: Request, id: str, body: SpiceConsole) -> Reply:
    """Refuse: there is no SPICE here."""
    return await _console(request, id, body.type)


@api.op("POST", ACTION, action="os-getSerialConsole", policy=OPEN, target=target, last="2.5", errors=(400, 404, 409))
async def serial(request: Request, id: str, body: SerialConsole) -> Reply:
    """Open a server's serial console."""
    return await _console(request, id, body.type)


@api.op("POST", ACTION, action="os-getRDPConsole", policy=OPEN, target=target, last="2.5", errors=(400, 404))
def rdp(tx: Tx, request: Request, id: str) -> None:
    """Refuse: RDP consoles went with the Hyper-V driver."""
    raise BadRequest("Unavailable console type rdp-html5.")


@api.op("GET", "/os-console-auth-tokens/{token}", policy=SHOW, reply="console", errors=(400, 404))
async def show(request: Request, token: str) -> Connection:
    """Show where a token leads, while it is good."""
    if request.version < (2, 31):
        raise BadRequest("Until 2.30 this was for RDP consoles alone, which there are no longer.")
    known = await request.runtime.db.read(lambda tx: _known(tx, token))
    if known is None:
        raise NotFound("Token not found")
    row, kind = known
    path = await ask(request, row, "compute.console_path", kind=kind)
    return Connection(instance_uuid=row.id, host=row.host, port=0, internal_access_path=path)


# -- for the proxy -------------------------------------------------------------------------------------------------


async def redeem(runtime: Runtime, kind: str, token: str) -> Row | None:
    """The server that a token opens the console of; None for one that is not good (any longer). It is used up by this."""

    def use(tx: Tx) -> Row | None:
        known = _known(tx, token)
        if known is None or known[1] != kind:
            return None
        tx.delete(console_tokens, digest=_digest(token))
        return known[0]

    return await runtime.db.write(use)


# -- helpers -------------------------------------------------------------------------------------------------------


async def _console(request: Request, id: str, type: str) -> Reply:
    return Reply({"console": {"type": type, "url": await _open(request, id, type)}})


async def _open(request: Request, id: str, type: str) -> str:
    """The address of a console: a page for a screen, which is told in `path` what to connect to, as the real service's is; a
    websocket for a serial port."""
    row = await found(request, id)
    if row.task_state == Task.DELETING:
        raise Conflict(f"Cannot 'get_{KINDS.get(type, type)}_console' instance {id} while it is in task_state deleting")
    if type not in KINDS:
        raise BadRequest(f"Unavailable console type {type}.")
    kind = KINDS[type]
    await ask(request, row, "compute.console_path", kind=kind)
    token = secrets.token_urlsafe(32)
    lasts = dt.timedelta(minutes=request.runtime.config.console_minutes)
    await request.runtime.db.write(lambda tx: _issue(tx, request, id, kind, token, clock.now() + lasts))
    if kind == "serial":
        return f"{request.root.replace('http', 'ws', 1)}/console/serial?token={token}"
    path = f"{urlsplit(request.root).path}/console/vnc?token={token}"
    return f"{request.root}{BELOW}{PAGE}?{urlencode({'path': path.lstrip('/')})}"


def _issue(tx: Tx, request: Request, id: str, kind: str, token: str, ends: dt.datetime) -> None:
    find(tx, request, id)
    tx.execute(console_tokens.delete().where(console_tokens.c.expires_at < clock.now()))
    tx.insert(console_tokens, digest=_digest(token), server_id=id, kind=kind, expires_at=ends)


def _known(tx: Tx, token: str) -> tuple[Row, str] | None:
    """The server and kind of console of a token that is good."""
    row = tx.get(console_tokens, digest=_digest(token))
    if row is None or row.expires_at < clock.now():
        return None
    server = tx.get(servers, id=row.server_id)
    return (server, row.kind) if server is not None and server.host else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
