"""Issuing, showing, checking and revoking tokens."""

from __future__ import annotations

import functools
import os
import re
import typing as t

from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.errors import ApiError, Forbidden, NotFound
from ...kernel.http import Reply, Request
from .. import SCOPES, access_rules, api, audit, epoch, password_rules, revocations, times, trusts, users
from ..fernet import Claims, Where, audit_id
from ..listing import asked, is_true
from ..state import Known, state
from . import kinds, methods, receipts, scope
from .body import Auth
from .caller import SUBJECT, good
from .render import answer, rendered
from .resolve import Resolved, denied, enabled_user, resolve

LATE = 2 * 24 * 3600
"""Seconds for which a service may ask after a token that has ended, to finish what was begun with it."""

# -- policy --------------------------------------------------------------------------------------------------------

READ = "rule:admin_required or (role:reader and system_scope:all) or "
CHECK = api.rule("identity:check_token", READ + "rule:token_subject", "Check a token.", scopes=SCOPES)
VALIDATE = api.rule("identity:validate_token", READ + "rule:service_role or rule:token_subject", "Show a token.", scopes=SCOPES)
REVOKE = api.rule("identity:revoke_token", "rule:admin_required or rule:token_subject", "Revoke a token.", scopes=SCOPES)
REVOKE_ALL = api.rule("identity:revoke_tokens_for_user", "rule:admin_or_owner", "Revoke all tokens of a user.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------

RULES_KNOWN = "openstack-identity-access-rules"
"""The header in which a service says which version of access rules it heeds. Another must not take the token for good."""


def _target(tx: Tx, request: Request) -> dict:
    if SUBJECT not in request.headers:
        return {}
    subject = _subject(tx, request).resolved.user
    return {"target.token.user_id": subject.id, "target.token.user.domain.id": subject.domain_id}


@api.op("POST", "/auth/tokens", policy=None, wrap="auth", reply="token", status=201, errors=(401, 403, 404))
async def create(request: Request, body: Auth) -> Reply:
    """Issue a token. Secrets are checked between two transactions; the second finds what the first found, or refuses.
    Who proved who they are, but not by all the methods asked of them, gets 401 and a receipt."""
    found: list[methods.Found] = []
    try:
        found = await request.runtime.db.read(lambda tx: methods.find(tx, request, body), like="who logs in")
        reply = await _create(request, body, found)
    except ApiError as error:
        await audit.authenticated(request, _named(found), "failure", error.status)
        raise
    outcome, status = ("success", 201) if isinstance(reply, Reply) else ("pending", reply.status_code)
    await audit.authenticated(request, _named(found), outcome, status)
    return reply


async def _create(request: Request, body: Auth, found: list[methods.Found]) -> t.Any:
    db = request.runtime.db
    await _check_secrets(request, found)
    issuing = functools.partial(_issue, request=request, auth=body, found=found)
    used = isinstance(body.scope, scope.Scope) and body.scope.trust
    issued = await (db.write(issuing) if used else db.read(issuing, like="a token issued"))
    if issued.new_login is not None:
        user_id = issued.new_login
        await db.write(lambda tx: users.note_login(tx, user_id))
    return issued.reply


@api.op("GET", "/auth/tokens", policy=VALIDATE, target=_target, reply="token", errors=(404,))
def show(tx: Tx, request: Request) -> Reply:
    """Show what the subject token says."""
    known = _readable_subject(tx, request)
    if known.body is None:
        known.body = rendered(tx, request, known.resolved)
    return answer(tx, request, request.headers[SUBJECT], known.resolved, known.body)


@api.op("HEAD", "/auth/tokens", policy=CHECK, target=_target, errors=(404,))
def check(tx: Tx, request: Request) -> Reply:
    """Check that the subject token is good."""
    _readable_subject(tx, request)
    return Reply(None, headers={"X-Subject-Token": request.headers[SUBJECT], "Vary": "X-Auth-Token"})


@api.op("DELETE", "/auth/tokens", policy=REVOKE, target=_target, status=204, errors=(404,))
def delete(tx: Tx, request: Request) -> None:
    """Revoke the subject token, and no other."""
    claims = _subject(tx, request).resolved.claims
    revocations.revoke(tx, claims.audit[0], times.moment(claims.expires))


@api.op("DELETE", "/users/{user_id}/tokens", policy=REVOKE_ALL, target=users.target, status=204, errors=(404,))
def delete_all(tx: Tx, request: Request, user_id: str) -> None:
    """Revoke all tokens that a user has by now."""
    tx.update(users.users, users.find_user(tx, user_id).id, valid_from=clock.now())
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def _named(found: list[methods.Found]) -> str | None:
    """Whom a request says that it is from."""
    return next((one.user_id for one in found if one.user_id), None)


def _subject(tx: Tx, request: Request) -> Known:
    """The subject token, good. Raises NotFound, which says why it is not."""
    late = LATE if is_true(asked(request, "allow_expired") or "0") else 0
    return good(state(request.runtime), tx, request.headers.get(SUBJECT, ""), late)


def readable(tx: Tx, request: Request, token: str) -> Resolved:
    """A good token, for somebody who will go by it, and by nothing else. Raises NotFound as where there is none, Forbidden for
    one that is good with a certificate alone."""
    resolved = _heeding(tx, request, good(state(request.runtime), tx, token)).resolved
    if resolved.claims.thumbprint is not None:
        raise Forbidden(request.api.forbidden.format(rule="the token is good with its certificate alone"))
    return resolved


def _readable_subject(tx: Tx, request: Request) -> Known:
    return _heeding(tx, request, _subject(tx, request))


def _heeding(tx: Tx, request: Request, known: Known) -> Known:
    """Raise NotFound where a token has access rules, and who asks does not say that they know what these are."""
    credential = known.resolved.app_credential
    heeded = re.fullmatch(r"[1-9]\d*(\.\d+)?", request.headers.get(RULES_KNOWN, ""))
    if credential is not None and not heeded and access_rules.of_credentials(tx, [credential.id])[credential.id]:
        raise NotFound("Failed to validate token: it has access rules, and the request lacks OpenStack-Identity-Access-Rules.")
    return known


class Issued(t.NamedTuple):
    reply: t.Any
    """A token's, or a receipt's Response, which is no token."""
    new_login: str | None
    """Whose login by password is to be noted."""


async def _check_secrets(request: Request, found: list[methods.Found]) -> None:
    """Raise Unauthorized where a secret is not right. Wrong passwords are counted, where the rules ask for it, save those
    of users who are locked out already, or have none: for them, no password is right."""
    rules = request.runtime.config.security_compliance
    wrong = [one for one in found if one.secret is not None and not await _right(request, one, one.secret)]
    for one in wrong:
        if one.by_password and one.hashed is not None and rules.lockout_failure_attempts:
            await request.runtime.db.write(lambda tx, id=str(one.user_id): users.note_failure(tx, id, rules))
    if wrong:
        raise denied()


async def _right(request: Request, one: methods.Found, secret: str) -> bool:
    held = state(request.runtime)
    if one.directory is not None:
        # Where the directory says no, it takes as long as where there is no such user anywhere.
        return await held.directories.right(one.directory, one.local_id, secret) or await held.passwords.check(secret, None)
    return await held.passwords.check(secret, one.hashed)


def _issue(tx: Tx, request: Request, auth: Auth, found: list[methods.Found]) -> Issued:
    if methods.find(tx, request, auth) != found:
        raise denied()
    methods.check_there(tx, request, found)
    user, domain = enabled_user(tx, methods.check_same(found))
    if password_rules.idle(user, request.runtime.config.security_compliance):
        raise denied()
    by_password = any(one.by_password for one in found)
    if by_password:
        password_rules.refuse_expired(user)
    new_login = user.id if by_password and users.unnoted(user) else None
    used = methods.methods_of(auth, found, receipts.methods_before(request, user))
    if not methods.enough(user, used):
        return Issued(receipts.answer(request, user, domain, used), new_login)
    where, trust = scope.choose(tx, auth, user, found)
    if trust is not None:
        if trust.trustee_user_id != user.id:
            raise Forbidden(request.api.forbidden.format(rule="User is not a trustee."))
        trusts.use(tx, trust)
    return Issued(issue(tx, request, _claims(request, user.id, used, where, trust, found)), new_login)


def issue(tx: Tx, request: Request, claims: Claims) -> Reply:
    """The answer with the token of these claims. Raises Unauthorized where it would be no good."""
    resolved = resolve(tx, claims)
    return answer(tx, request, kinds.issue(tx, request, resolved), resolved, rendered(tx, request, resolved))


def _claims(request: Request, user_id: str, used: list[str], where: Where, trust: t.Any,
            found: list[methods.Found]) -> Claims:  # fmt: skip
    """A token ends when its time is up, and no later than what it was got with."""
    before = next((one.claims for one in found if one.claims is not None), None)
    credential = next((one.credential for one in found if one.credential is not None), None)
    access = next((one.access_token for one in found if one.access_token is not None), None)
    now = times.micros(clock.now())
    ends = [before.expires if before else now + int(request.runtime.config.token_hours * 3600e6)]
    ends += [times.micros(one.expires_at) for one in (trust, credential, access) if one is not None and one.expires_at]
    audit = [audit_id(os.urandom(16))]
    if before is not None:
        audit.append(before.audit[-1])
    of = [one.id if one else None for one in (trust, credential, access)]
    return Claims(used, user_id, where, now, min(ends), audit, *of, federated=before.federated if before else None)
