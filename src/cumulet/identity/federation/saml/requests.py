"""What this cloud asks identity providers by way of their users, and how it knows the answer to be one.

Nothing is kept here of a request: what it was about goes with whoever asks, sealed, in a cookie or in the relay state of an
envelope; the request's id is a hash of that. So an answer is taken only from who asked, and only if it is to that question.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import typing as t

import msgspec
from starlette.responses import RedirectResponse, Response

from ....kernel import clock
from ....kernel.errors import Unauthorized
from ....kernel.http import Request
from ... import times
from ...drivers import saml
from ...fernet import BadToken
from ...state import state
from .providers import Speaker, consumer

MINUTES = 15
"""For how long a user may take to log in at the provider."""
PAOS = "application/vnd.paos+xml"
ASKED, SESSION = "cumulet_saml_", "cumulet_saml"
"""Cookies: the first, with part of a request's id, says what was asked; the second who has proved who they are."""
MARK = b"saml request"


class Started(msgspec.Struct, array_like=True, frozen=True):
    """What was asked for: with which provider and protocol somebody logs in, and where they go on."""

    identity_provider: str
    protocol: str
    back: str
    ends: int
    nonce: bytes


async def ask_by_browser(request: Request, speaker: Speaker) -> Response:
    """Send a browser to an identity provider. Raises Unauthorized for one that takes no browsers."""
    sealed = _sealed(request, speaker)
    asked = _asked(request, speaker, sealed)
    try:
        url = await asyncio.to_thread(lambda: saml.redirect_url(asked, state(request.runtime).saml_key))
    except saml.SamlError as error:
        raise Unauthorized(f"Nobody can log in with identity provider {speaker.settings.identity_provider} by browser: {error}.") from None
    response = RedirectResponse(url, 302, headers={"Cache-Control": "no-store"})
    set_cookie(request, response, ASKED + asked.id[:9], sealed, MINUTES * 60)
    return response


async def ask_by_client(request: Request, speaker: Speaker) -> Response:
    """Have a client that is no browser ask an identity provider (ECP)."""
    sealed = _sealed(request, speaker)
    asked = _asked(request, speaker, sealed)
    document = await asyncio.to_thread(lambda: saml.written(saml.paos_request(asked, sealed, state(request.runtime).saml_key)))
    return Response(document, headers={"Content-Type": PAOS, "Cache-Control": "no-store"})


def takes_envelopes(request: Request) -> bool:
    """Whether the client says that it knows ECP."""
    return PAOS in request.headers.get("accept", "") and "urn:liberty:paos:2003-08" in request.headers.get("paos", "")


def started(request: Request, sealed: str | None) -> tuple[Started, str] | None:
    """What a client was sent to ask, and the id of that request; None for what is none of ours, or too old."""
    try:
        opened = state(request.runtime).token_keys.open(sealed or "")
        found = msgspec.msgpack.decode(opened.removeprefix(MARK), type=Started)
    except (BadToken, msgspec.MsgspecError):
        return None
    if not opened.startswith(MARK) or found.ends < times.micros(clock.now()):
        return None
    return found, _id(sealed or "")


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Keep something in a browser. The provider's page brings it back by a form, which browsers let pass where the cookie says so,
    and is one for TLS alone."""
    secure = request.runtime.config.url.startswith("https:")
    response.set_cookie(name, value, max_age=seconds, httponly=True, secure=secure, samesite="none" if secure else None)


def _sealed(request: Request, speaker: Speaker) -> str:
    ends = times.micros(clock.now()) + MINUTES * 60_000_000
    told = msgspec.msgpack.encode(Started(speaker.settings.identity_provider, speaker.settings.protocol, request.url, ends, os.urandom(12)))
    return state(request.runtime).token_keys.seal(MARK + told)


def _asked(request: Request, speaker: Speaker, sealed: str) -> t.Any:
    return saml.Asked(_id(sealed), consumer(request.runtime.config), speaker.issuer, clock.now())


def _id(sealed: str) -> str:
    return "_" + hashlib.sha256(sealed.encode()).hexdigest()
