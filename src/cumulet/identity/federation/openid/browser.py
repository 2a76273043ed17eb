"""Browsers: they are sent to the provider, come back with a code, and get a token for the dashboard that sent them here.

What this cloud has to remember of a login between the two is sealed in a cookie: so the browser that comes back is the one that
went, and no process has to be the same. Code flow with PKCE (RFC 7636) and nonce; each state is good once, and for ten minutes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import typing as t
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import RedirectResponse, Response

from ....kernel import clock
from ....kernel.config import OpenIdProvider
from ....kernel.db import Tx
from ....kernel.errors import BadRequest, Unauthorized
from ....kernel.http import Request
from ... import api, times
from ...fernet import BadToken
from ...listing import asked
from ...state import state
from .. import websso
from ..login import log_in
from ..spent import spend
from .provider import Json, Provider, provider_of
from .tokens import ISSUER, assertion, refused, signed

BACK = "/auth/OS-FEDERATION/openid/redirect"
LASTS = dt.timedelta(minutes=10)


class Attempt(msgspec.Struct, array_like=True, frozen=True):
    """A login that is under way; its first field keeps it from being taken for another sealed thing."""

    kind: t.Literal["openid"]
    state: str
    identity_provider: str
    protocol: str
    origin: str
    nonce: str
    verifier: str
    ends: int
    """Microseconds since 1970."""


async def send_away(request: Request, settings: OpenIdProvider, origin: str) -> Response:
    """Send a browser to the provider."""
    endpoint = await provider_of(request.runtime, settings).endpoint("authorization_endpoint")
    ends = times.micros(clock.now() + LASTS)
    who = settings.identity_provider, settings.protocol
    attempt = Attempt("openid", _random(), *who, origin, _random(), _random(), ends)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": settings.client_id, "redirect_uri": _back(request), "scope": settings.scopes,
        "state": attempt.state, "nonce": attempt.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    answer = RedirectResponse(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query, quote_via=quote)}", 302)
    sealed = state(request.runtime).token_keys.seal(msgspec.msgpack.encode(attempt))
    _set_cookie(request, answer, attempt.state, sealed, LASTS)
    return answer


@api.op("GET", BACK, policy=None, errors=(400, 401, 403, 404, 409))
async def come_back(request: Request) -> Response:
    """End a browser's login with an OpenID provider: this is the redirect URI that this cloud is registered with there."""
    attempt = _attempt(request)
    settings = request.runtime.config.federation.openid_of(attempt.identity_provider, attempt.protocol)
    if settings is None:
        raise Unauthorized("This cloud no longer knows the OpenID provider of this login.")
    provider = provider_of(request.runtime, settings)
    claims = await _claims(request, provider, attempt)

    def end(tx: Tx) -> t.Any:
        spend(tx, "login", attempt.state, times.moment(attempt.ends))
        return log_in(tx, request, attempt.identity_provider, attempt.protocol, assertion(claims), ISSUER)

    answer = websso.handed_over(attempt.origin, await request.runtime.db.write(end))
    _set_cookie(request, answer, attempt.state, "", dt.timedelta())
    return answer


# -- helpers -------------------------------------------------------------------------------------------------------


async def _claims(request: Request, provider: Provider, attempt: Attempt) -> Json:
    """What the provider says, for the code that the browser brings, of whoever logged in there."""
    if error := asked(request, "error"):
        raise provider.failed(f"did not let you in: {error[:200]}")
    if asked(request, "iss") not in (None, provider.settings.issuer):
        raise refused("another provider sent the browser back")
    code = asked(request, "code")
    if code is None:
        raise BadRequest("The provider sent the browser back without a code.")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": _back(request), "code_verifier": attempt.verifier}
    tokens = await provider.ask(await provider.endpoint("token_endpoint"), form)
    mine = provider.settings.client_id
    claims = await signed(provider, str(tokens.get("id_token", "")), [mine])
    if not hmac.compare_digest(str(claims.get("nonce")).encode(), attempt.nonce.encode()):
        raise refused("it is of another login")
    if claims.get("azp", mine) != mine:
        raise refused("it was issued to somebody else")
    if tokens.get("access_token") and await provider.offers("userinfo_endpoint"):
        more = await provider.userinfo(str(tokens["access_token"]))
        if more.get("sub") != claims.get("sub"):
            raise refused("what its provider adds is of somebody else")
        claims = more | claims
    return claims


def _attempt(request: Request) -> Attempt:
    """The login that a browser comes back from. Raises BadRequest without a state, Unauthorized for one of somebody else, or one
    that is too old."""
    told = asked(request, "state")
    if told is None:
        raise BadRequest("The provider sent the browser back without a state.")
    sealed = websso.cookies(request).get(_name(told), "")
    try:
        attempt = msgspec.msgpack.decode(state(request.runtime).token_keys.open(sealed), type=Attempt)
    except (BadToken, msgspec.MsgspecError):
        attempt = None
    if attempt is None or attempt.state != told or attempt.ends <= times.micros(clock.now()):
        raise Unauthorized("This login was not begun by this browser, or too long ago: begin again at the dashboard.")
    return attempt


def _back(request: Request) -> str:
    return f"{request.base}/v3{BACK}"


def _random() -> str:
    return secrets.token_urlsafe(32)


def _name(state: str) -> str:
    """The cookie of a login: several may be under way."""
    return "openid-" + hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _set_cookie(request: Request, answer: Response, state: str, value: str, lasts: dt.timedelta) -> None:
    secure = request.root.startswith("https:")
    path = _back(request).removeprefix(request.root)
    answer.set_cookie(_name(state), value, max_age=int(lasts.total_seconds()), path=path, secure=secure, httponly=True, samesite="lax")
