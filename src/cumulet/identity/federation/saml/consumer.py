"""Where identity providers' answers are brought, by browsers and by other clients, and what providers may know of this cloud.

The paths are those that the Identity API's users know from the module of a web server that it usually runs behind.
"""

from __future__ import annotations

import asyncio
import base64
import typing as t

from starlette.responses import RedirectResponse, Response

from .... import root
from ....kernel import clock
from ....kernel.errors import BadRequest, Unauthorized
from ....kernel.http import Request, wire
from ... import api
from ...drivers import saml
from ...state import state
from ..websso import cookies
from . import logins
from .providers import BASE, Speaker, consumer, log, speaker, speakers_as
from .requests import ASKED, PAOS, SESSION, Started, set_cookie, started

Begun = tuple[Started, str] | None
ERRORS = (400, 401)


@root.api.op("GET", f"{BASE}/Metadata", policy=None)
async def show_metadata(request: Request) -> Response:
    """Show by what name, key and addresses identity providers know this cloud."""
    own = consumer(request.runtime.config)
    document = await asyncio.to_thread(lambda: saml.written(saml.sp_metadata(own, state(request.runtime).saml_key)))
    return Response(document, headers={"Content-Type": "application/samlmetadata+xml"})


@root.api.op("POST", f"{BASE}/SAML2/POST", policy=None, raw=True, status=303, errors=ERRORS)
async def consume_by_browser(request: Request) -> Response:
    """Take an identity provider's answer from a browser, which was sent there to ask."""
    form = wire.decode_form(await request.body())
    try:
        raw = base64.b64decode("".join(form.get("SAMLResponse", "").split()), validate=True)
    except ValueError:
        raise BadRequest("SAMLResponse is not in base 64.") from None
    response = _document(raw)
    name = ASKED + response.get("InResponseTo", "")[:9]
    begun = started(request, cookies(request).get(name))
    if begun is None:
        raise Unauthorized("This browser did not ask to log in, or took too long: log in again from where you began.")
    answer = await _consumed(request, response, begun, consumer(request.runtime.config).post, 303)
    answer.delete_cookie(name)
    return answer


@root.api.op("POST", f"{BASE}/SAML2/ECP", policy=None, raw=True, status=302, errors=ERRORS, media=(PAOS,))
async def consume_by_client(request: Request) -> Response:
    """Take an identity provider's answer from a client that is no browser; that of another cloud comes without a question.
    The media type is one that no page can have a browser send here."""
    try:
        response, relay_state = saml.opened(_document(await request.body()))
    except saml.SamlError as error:
        raise _refused(error) from None
    return await _consumed(request, response, started(request, relay_state), consumer(request.runtime.config).ecp, 302)


async def _consumed(request: Request, response: t.Any, begun: Begun, url: str, status: int) -> Response:
    """Where to go on, and the cookie with which who brought an answer is known there. Raises Unauthorized."""
    try:
        said = await asyncio.to_thread(_read, request, response, begun, url)
    except saml.SamlError as error:
        raise _refused(error) from None
    secret = await request.runtime.db.write(lambda tx: logins.keep(tx, said))
    back = begun[0].back if begun else f"{request.root}{api.prefix}{api.base}"
    answer = RedirectResponse(back, status, headers={"Cache-Control": "no-store"})
    set_cookie(request, answer, SESSION, secret, int(logins.KEPT.total_seconds()))
    return answer


def _read(request: Request, response: t.Any, begun: Begun, url: str) -> t.Any:
    """What a response says. Raises SamlError, Unauthorized."""
    config, entity = request.runtime.config, saml.issuer_named(response)
    known = next((one for one in _askable(request, begun, entity) if one.issuer.entity == entity), None)
    if known is None:
        raise saml.SamlError(f"its issuer, {entity[:200]}, is not {'the one that was asked' if begun else 'one that is known here'}")
    wanted = saml.Wanted(consumer(config).entity, url, begun[1] if begun else None, clock.now())
    return saml.read_response(response, known.issuer, wanted, sha1=known.settings.sha1)


def _askable(request: Request, begun: Begun, entity: str) -> t.Iterator[Speaker]:
    """Whose response this may be: that of who was asked, or, where nobody was, of whoever has the name."""
    config = request.runtime.config
    if begun is None:
        yield from speakers_as(config, entity)
    elif settings := config.federation.saml_of(begun[0].identity_provider, begun[0].protocol):
        yield speaker(config, settings)


def _document(raw: bytes) -> t.Any:
    try:
        return saml.parsed(raw)
    except saml.SamlError as error:
        raise BadRequest(f"The identity provider's response cannot be read: {error}.") from None


def _refused(error: Exception) -> Unauthorized:
    log.warning("an identity provider's response was refused", error=str(error))
    return Unauthorized(f"The identity provider's response is not taken: {error}.")
