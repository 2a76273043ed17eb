"""Where an identity provider's word is brought: by clients, and by browsers on their way to a dashboard.

By what protocol somebody speaks to a provider is in the settings: the API's resources know its name alone."""

from __future__ import annotations

import typing as t

from starlette.responses import Response

from ...kernel.errors import Unauthorized
from ...kernel.http import Request
from .. import api
from .login import log_in, protocol_of
from .openid.bearer import said_by_bearer
from .openid.browser import send_away
from .openid.tokens import ISSUER
from .saml.sign_on import sign_on as sign_on_by_saml
from .websso import handed_over, origin_of

PROTOCOL = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}"
BROWSER = "/auth" + PROTOCOL + "/websso"
SAID_SO = BROWSER.replace("/protocols/", "/protocol/")
"""As the API's reference has it; the service itself does not."""
ANY = "/auth/OS-FEDERATION/websso/{protocol_id}"
ERRORS = (400, 401, 403, 404, 409)


@api.op("GET", PROTOCOL + "/auth", policy=None, reply="token", status=201, errors=(200, 302, *ERRORS))
@api.op("POST", PROTOCOL + "/auth", policy=None, reply="token", status=201, errors=(200, 302, *ERRORS))
async def authenticate(request: Request, idp_id: str, protocol_id: str) -> t.Any:
    """Issue an unscoped token for whom an identity provider vouches for.

    With OpenID Connect its own token is the bearer's; with SAML, who has not brought its answer yet is told how to ask it."""
    await request.runtime.db.read(lambda tx: protocol_of(tx, idp_id, protocol_id))
    logged_in = lambda tx, said, speaks_as: log_in(tx, request, idp_id, protocol_id, said, speaks_as)
    if by_saml := request.runtime.config.federation.saml_of(idp_id, protocol_id):
        return await sign_on_by_saml(request, by_saml, logged_in, browser=False)
    settings = request.runtime.config.federation.openid_of(idp_id, protocol_id)
    if settings is None:
        raise _unset(idp_id, protocol_id)
    said = await said_by_bearer(request, settings)
    return await request.runtime.db.write(lambda tx: logged_in(tx, said, ISSUER))


@api.op("GET", SAID_SO, policy=None, status=302, errors=ERRORS)
@api.op("GET", BROWSER, policy=None, status=302, errors=ERRORS)
@api.op("POST", BROWSER, policy=None, status=302, errors=ERRORS)
async def sign_on(request: Request, idp_id: str, protocol_id: str) -> Response:
    """Have a browser log in at an identity provider, for the dashboard `origin`, to which it brings the token."""
    origin = origin_of(request)
    await request.runtime.db.read(lambda tx: protocol_of(tx, idp_id, protocol_id))
    if by_saml := request.runtime.config.federation.saml_of(idp_id, protocol_id):
        page = lambda tx, said, speaks_as: handed_over(origin, log_in(tx, request, idp_id, protocol_id, said, speaks_as))
        return await sign_on_by_saml(request, by_saml, page, browser=True)
    settings = request.runtime.config.federation.openid_of(idp_id, protocol_id)
    if settings is None:
        raise _unset(idp_id, protocol_id)
    return await send_away(request, settings, origin)


@api.op("GET", ANY, policy=None, status=302, errors=ERRORS)
@api.op("POST", ANY, policy=None, status=302, errors=ERRORS)
async def sign_on_somewhere(request: Request, protocol_id: str) -> Response:
    """Have a browser log in at the only identity provider of a protocol, for the dashboard `origin`."""
    origin_of(request)
    known = request.runtime.config.federation
    found = [one.identity_provider for one in (*known.openid, *known.saml) if one.protocol == protocol_id]
    if len(found) != 1:
        raise Unauthorized(
            f"There are {len(found)} identity providers of the protocol {protocol_id} in this cloud's settings: the dashboard has to "
            "name one, by /auth/OS-FEDERATION/identity_providers/PROVIDER/protocols/PROTOCOL/websso."
        )
    return await sign_on(request, found[0], protocol_id)


def _unset(idp_id: str, protocol_id: str) -> Unauthorized:
    return Unauthorized(
        f"This cloud's settings do not say how the identity provider {idp_id} is spoken to by the protocol {protocol_id}: see "
        "`federation` in cumulet.toml."
    )
