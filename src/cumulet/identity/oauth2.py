"""OAuth 2.0 client credentials (RFC 6749, 4.4): an access token for a program that proves itself by an application credential,
or by a certificate (RFC 8705). Access tokens are tokens like any other; those by a certificate are good with it alone."""

from __future__ import annotations

import base64
import binascii
import os
import typing as t

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, MethodNotAllowed, Unauthorized
from ..kernel.http import FORM, OAuth2Dialect, OpenBody, Reply, Request, View
from . import api, audit, certificates, password_rules, times, tree
from .federation.mappings import mappings
from .federation.rules import RuleError, evaluate
from .fernet import Claims, audit_id
from .state import state
from .tokens import kinds, operations
from .tokens.body import Auth, ByApplicationCredential, Identity
from .users import users

MAPPING = "oauth2_mapping"
"""The id of the mapping that says what a user's certificate has to be like, as in the real service."""

# -- wire ----------------------------------------------------------------------------------------------------------


class Grant(OpenBody):
    grant_type: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class AccessToken(View):
    """`expires_in` is in seconds."""

    access_token: str
    expires_in: int
    token_type: str = "Bearer"


# -- operations ----------------------------------------------------------------------------------------------------

OAUTH2 = OAuth2Dialect()
TOKEN = "/OS-OAUTH2/token"


@api.op("POST", TOKEN, policy=None, media=(FORM,), dialect=OAUTH2, errors=(401, 403, 404))
async def create(request: Request, body: Grant) -> Reply[AccessToken]:
    """Issue an access token for the project of an application credential, or for a user's default project.

    The application credential is the client, by HTTP's Basic scheme or in the form. Whoever comes with a certificate names
    the user in the form: the mapping `oauth2_mapping` says of whom the certificate has to be."""
    if body.grant_type is None:
        raise BadRequest("The parameter grant_type is required.")
    if body.grant_type != "client_credentials":
        raise BadRequest(f"The parameter grant_type {body.grant_type} is not supported.", kind="unsupported_grant_type")
    der = _certificate(request)
    client, secret = (body.client_id, body.client_secret) if der else _basic(request) or (body.client_id, body.client_secret)
    if not client or not (der or secret):
        raise _failed()
    if der:
        try:
            reply = _granted(request, await request.runtime.db.read(lambda tx: _by_certificate(tx, request, client, der)))
        except Unauthorized as error:
            await audit.authenticated(request, client, "failure", error.status)
            raise
        await audit.authenticated(request, client, "success", 200)
        return reply
    part = ByApplicationCredential(id=client, secret=secret)
    return _granted(request, await operations.create(request, Auth(Identity(["application_credential"], application_credential=part))))


@api.op("GET", TOKEN, policy=None, dialect=OAUTH2, errors=(405,))
@api.op("PUT", TOKEN, policy=None, dialect=OAUTH2, errors=(405,))
@api.op("PATCH", TOKEN, policy=None, dialect=OAUTH2, errors=(405,))
@api.op("DELETE", TOKEN, policy=None, dialect=OAUTH2, errors=(405,))
async def refuse(request: Request) -> None:
    """Refuse, in the words of OAuth 2.0: access tokens are asked for with POST."""
    raise MethodNotAllowed("The method is not allowed for the requested URL.", headers={"Allow": "POST"})


# -- helpers -------------------------------------------------------------------------------------------------------


def _failed() -> Unauthorized:
    """What is said to a client whatever is wrong with it."""
    return Unauthorized("Client authentication failed.")


def _granted(request: Request, reply: t.Any) -> Reply[AccessToken]:
    """The answer with a token that was issued. Raises Unauthorized where it is a receipt, for a user of whom more is asked."""
    if not isinstance(reply, Reply):
        raise _failed()
    token = t.cast(dict, reply.headers)["X-Subject-Token"]
    left = times.moment(kinds.read(state(request.runtime), token).expires) - clock.now()
    return Reply(AccessToken(access_token=token, expires_in=int(left.total_seconds())), headers={"Cache-Control": "no-store"})


def _basic(request: Request) -> tuple[str, str] | None:
    """Client and secret, as HTTP's Basic scheme has them."""
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(told.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _failed() from None
    if "\0" in client:
        raise _failed()
    return client, secret


def _certificate(request: Request) -> bytes | None:
    try:
        return certificates.of_request(request)
    except certificates.NoCertificate:
        raise _failed() from None


def _by_certificate(tx: Tx, request: Request, user_id: str, der: bytes) -> Reply:
    user = tx.get(users, id=user_id)
    if user is None or user.default_project_id is None or not _is_of(tx, user, der):
        raise _failed()
    if password_rules.idle(user, request.runtime.config.security_compliance):
        raise _failed()
    now = times.micros(clock.now())
    ends = now + int(request.runtime.config.token_hours * 3600e6)
    claims = Claims(["oauth2_credential"], user.id, ("p", user.default_project_id), now, ends, [audit_id(os.urandom(16))],
                    thumbprint=certificates.thumbprint(der))  # fmt: skip
    return operations.issue(tx, request, claims)


def _is_of(tx: Tx, user: Row, der: bytes) -> bool:
    """Whether the mapping makes of a certificate what the user is. One that tells nobody by it would let in anybody."""
    mapping = tx.get(mappings, id=MAPPING)
    if mapping is None:
        return False
    try:
        mapped = evaluate(mapping.rules, certificates.assertion(der), mapping.schema_version).user
    except (RuleError, certificates.NoCertificate):
        return False
    domain = mapped.get("domain") or {}
    said = {"id": mapped.get("id"), "name": mapped.get("name"), "email": mapped.get("email")}
    is_so = {"id": user.id, "name": user.name, "email": user.extra.get("email")}
    there = {"id": user.domain_id, "name": tree.find_domain(tx, user.domain_id).name}
    return any(said.values()) and _agree(said, is_so) and _agree(domain, there)


def _agree(said: dict[str, t.Any], is_so: dict[str, t.Any]) -> bool:
    """Whether all that is said is so."""
    return all(is_so.get(name) == value for name, value in said.items() if value)
