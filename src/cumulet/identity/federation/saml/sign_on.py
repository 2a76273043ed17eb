"""Logging in with SAML: by what an identity provider said of who asks; who has proved nothing yet is sent to it."""

from __future__ import annotations

import typing as t

from starlette.responses import Response

from ....kernel.config import SamlProvider
from ....kernel.db import Tx
from ....kernel.errors import Unauthorized
from ....kernel.http import Reply, Request
from ..rules import Assertion
from ..websso import cookies
from . import logins
from .providers import SPEAKS_AS, Speaker, speaker
from .requests import SESSION, ask_by_browser, ask_by_client, takes_envelopes

Answer = t.Callable[[Tx, Assertion, str], t.Any]


async def sign_on(request: Request, settings: SamlProvider, answer: Answer, *, browser: bool) -> t.Any:
    """What `answer` makes of what a provider said of who asks, with the name in it that says as whom it spoke; else how to ask
    the provider. browser: who asks is surely one. Raises Unauthorized for who can ask in no way that is known here."""
    known = speaker(request.runtime.config, settings)
    secret = cookies(request).get(SESSION)
    if secret and (found := await request.runtime.db.write(lambda tx: _answered(tx, known, secret, answer))):
        return _forgetting(found)
    if takes_envelopes(request):
        return await ask_by_client(request, known)
    if browser or "text/html" in request.headers.get("accept", ""):
        return await ask_by_browser(request, known)
    raise Unauthorized(
        f"Identity provider {settings.identity_provider} has not said who you are: log in by a browser, or by SAML's profile ECP."
    )


def _answered(tx: Tx, known: Speaker, secret: str, answer: Answer) -> t.Any:
    said = logins.take(tx, secret, known.issuer.entity)
    return None if said is None else answer(tx, said, SPEAKS_AS)


def _forgetting(answer: Reply | Response) -> Reply | Response:
    """An answer after which the client has no cookie any more: a client that keeps it would bring it along the next time."""
    if isinstance(answer, Reply):
        return answer._replace(headers={**(answer.headers or {}), "Set-Cookie": f"{SESSION}=; Max-Age=0; Path=/"})
    answer.delete_cookie(SESSION)
    return answer
