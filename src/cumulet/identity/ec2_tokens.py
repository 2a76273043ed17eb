"""Tokens for services that were sent a request signed with a pair of EC2 keys: they show what was signed, and get a token of the
keys' owner for the keys' project. Such a token is a delegation: it is good for the project's services, and not for more tokens.
"""

from __future__ import annotations

import base64
import binascii
import os
import typing as t

import msgspec

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, NotFound
from ..kernel.http import OpenBody, Reply, Request
from . import SCOPES, api, audit, ec2_signatures, times, trusts
from .application_credentials import application_credentials
from .credentials import blob_of, credentials, ec2_id
from .ec2_signatures import BadSignature, Signed
from .fernet import Claims, audit_id
from .oauth_access_tokens import access_tokens
from .state import state
from .tokens import kinds
from .tokens.render import answer, rendered
from .tokens.resolve import denied, resolve
from .users import users

METHOD = "ec2credential"

# -- wire ----------------------------------------------------------------------------------------------------------


class Shown(OpenBody):
    """What was signed: of a request to EC2 its parts, of one to S3 the text that was made of it, in base 64."""

    access: str | None = None
    signature: str | None = None
    verb: str = ""
    host: str = ""
    path: str = ""
    params: dict[str, str | int | float] = {}
    headers: dict[str, str] = {}
    body_hash: str = ""
    token: str = ""


class Ec2Auth(OpenBody):
    """Three names for the same, which clients use."""

    credentials: Shown | None = None
    credential: Shown | None = None
    ec2_credentials: Shown | None = msgspec.field(name="ec2Credentials", default=None)


# -- policy --------------------------------------------------------------------------------------------------------

EC2 = api.rule(
    "identity:ec2tokens_validate", "rule:service_or_admin", "Get a token for a request to EC2 that is rightly signed.", scopes=SCOPES
)
S3 = api.rule(
    "identity:s3tokens_validate", "rule:service_or_admin", "Learn whose a request to S3 is that is rightly signed.", scopes=SCOPES
)

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/ec2tokens", policy=EC2, reply="token", errors=(401, 403, 404))
def create(tx: Tx, request: Request, body: Ec2Auth | None) -> Reply:
    """Get a token for a request to EC2, signed by version 2 or 4 within the last 15 minutes."""
    shown = _shown(body)
    return _token(tx, request, shown, lambda secret: ec2_signatures.ec2(_signed(shown), secret))


@api.op("POST", "/s3tokens", policy=S3, reply="token", errors=(401, 403, 404))
def create_for_s3(tx: Tx, request: Request, body: Ec2Auth | None) -> Reply:
    """Show what a token for a request to S3 would be: the service learns whose the request is, and gets no token."""
    shown = _shown(body)
    reply = _token(tx, request, shown, lambda secret: [ec2_signatures.s3(_text(shown), secret)])
    return Reply(reply.body, headers={"Vary": "X-Auth-Token"})


# -- helpers -------------------------------------------------------------------------------------------------------


def _shown(body: Ec2Auth | None) -> Shown:
    shown = body and (body.credentials or body.credential or body.ec2_credentials)
    if body is None:
        raise BadRequest("request must include a request body")
    if not shown or shown.access is None or shown.signature is None:
        raise denied()
    return shown


def _signed(shown: Shown) -> Signed:
    params = {name: str(value) for name, value in shown.params.items()}
    headers = {name.lower().strip(): value.strip() for name, value in shown.headers.items()}
    return Signed(shown.verb, shown.host, shown.path, params, headers, shown.body_hash)


def _text(shown: Shown) -> bytes:
    try:
        return base64.urlsafe_b64decode(shown.token.encode())
    except (binascii.Error, ValueError):
        raise BadSignature from None


def _token(tx: Tx, request: Request, shown: Shown, signatures: t.Callable[[str], list[str]]) -> Reply:
    row = tx.get(credentials, id=ec2_id(str(shown.access)))
    if row is None or row.type != "ec2":
        raise NotFound("EC2 access key not found.")
    keys = msgspec.json.decode(blob_of(request.runtime, row), type=dict)
    try:
        right = signatures(str(keys["secret"]))
    except (BadSignature, KeyError):
        raise denied() from None
    if not any([ec2_signatures.same(one, str(shown.signature)) for one in right]):
        raise denied()
    claims = _claims(tx, request, row, keys)
    state(request.runtime).directories.ask_user(tx.get(users, id=claims.user_id), strict=True)
    resolved = resolve(tx, claims)
    audit.logged_in(tx, request, claims.user_id, status=200)
    return answer(tx, request, kinds.issue(tx, request, resolved), resolved, rendered(tx, request, resolved))


def _claims(tx: Tx, request: Request, row: Row, keys: dict[str, t.Any]) -> Claims:
    """What the token says: what its owner may do on the project, or what the keys were made with. It ends no later than that."""
    made_with = next((name for name in SOURCES if keys.get(name)), None)
    source = SOURCES[made_with](tx, row, str(keys[made_with])) if made_with else Source(row.user_id)
    if source.of is not None and source.of.project_id != row.project_id:
        raise denied()
    now = times.micros(clock.now())
    ends = [now + int(request.runtime.config.token_hours * 3600e6)]
    ends += [times.micros(source.of.expires_at)] if source.of is not None and source.of.expires_at is not None else []
    claims = Claims([METHOD], source.user_id, ("p", str(row.project_id)), now, min(ends), [audit_id(os.urandom(16))])
    return msgspec.structs.replace(claims, **source.named)


# -- what keys were made with: that stands in the keys, where their owner may have written it, so it counts where it is theirs -----


class Source(t.NamedTuple):
    """Who gets the token, the row of what the keys were made with, and how claims name it."""

    user_id: str
    of: Row | None = None
    named: dict[str, str] = {}


def _trust(tx: Tx, row: Row, id: str) -> Source:
    try:
        trust = trusts.find_trust(tx, id)
    except NotFound:
        raise denied() from None
    if row.user_id != trust.trustee_user_id and not (trust.impersonation and row.user_id == trust.trustor_user_id):
        raise denied()
    trusts.use(tx, trust)
    return Source(trust.trustee_user_id, trust, {"trust_id": id})


def _application_credential(tx: Tx, row: Row, id: str) -> Source:
    credential = tx.get(application_credentials, id=id)
    if credential is None or credential.user_id != row.user_id:
        raise denied()
    return Source(row.user_id, credential, {"app_credential_id": id})


def _access_token(tx: Tx, row: Row, id: str) -> Source:
    token = tx.get(access_tokens, id=id)
    if token is None or token.authorizing_user_id != row.user_id:
        raise denied()
    return Source(row.user_id, token, {"access_token_id": id})


SOURCES: dict[str, t.Callable[[Tx, Row, str], Source]] = {
    "trust_id": _trust, "app_cred_id": _application_credential, "access_token_id": _access_token,
}  # fmt: skip
