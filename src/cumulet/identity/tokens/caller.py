"""From a token to a caller: what every service asks at every request."""

from __future__ import annotations

import contextlib
import math
import typing as t

from ...kernel import clock
from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.errors import NotFound, Unauthorized
from ...kernel.http import Request
from .. import access_rules, certificates, epoch, times
from ..fernet import BadToken, Claims
from ..state import Known, State, state
from . import kinds
from .found import Found, find
from .resolve import Resolved, check_age, denied, resolve

SUBJECT = "x-subject-token"
"""The header with the token that a request is about."""
_EXPECTED = "identity tokens"


def authenticate(request: Request, tx: Tx, token: str) -> Context:
    """The caller that a token stands for. Raises Unauthorized for a token that is no good, and for one that is good for
    other requests only, by the access rules of its application credential."""
    held, subject = state(request.runtime), request.headers.get(SUBJECT)
    if subject:
        with contextlib.suppress(BadToken):
            expect(held, tx, subject)
    try:
        known = lookup(held, tx, token)
    except BadToken:
        raise denied() from None
    check_age(known.resolved.claims)
    _check_bound(request, known.resolved.claims.thumbprint)
    rules = known.context.extra["access_rules"]
    if rules and not access_rules.allow(rules, request.api.service, request.method, request.path.removeprefix(request.api.prefix)):
        raise denied()
    return known.context


def _check_bound(request: Request, thumbprint: str | None) -> None:
    """Raise Unauthorized where a token is bound to a certificate, and whoever shows it has another or none."""
    if thumbprint is None:
        return
    try:
        der = certificates.of_request(request)
    except certificates.NoCertificate:
        der = None
    if der is None or certificates.thumbprint(der) != thumbprint:
        raise denied()


def lookup(held: State, tx: Tx, token: str) -> Known:
    """What a token means, however old it is. Raises BadToken for what is none, Unauthorized for one that is no good.

    What was worked out before holds as long as nothing changed that tokens depend on, which one row tells, and no membership
    in a group ended.
    """
    expect(held, tx, token)
    at = epoch.current(tx)
    known = held.tokens.get(token)
    if known is None or known.epoch != at or known.until <= times.micros(clock.now()):
        read = tx.seen[_EXPECTED].pop(token, None)
        if read is None or read.at != at:
            read = _read(held, tx, token)
        claims, found = read.claims, read.found
        elsewhere = [row for row in found.people.values() if row.local_id is not None]
        _ask(held, elsewhere)
        resolved = resolve(tx, claims, found)
        known = Known(at, _until(found.people), resolved, context_of(tx, resolved, token), elsewhere)
        held.tokens.put(token, known)
    _ask(held, known.people)
    return known


def expect(held: State, tx: Tx, token: str) -> None:
    """Find what there is for a token, if it is new here. Nothing else of identity is asked of the database before it then, for the
    number of changes comes with it. Raises BadToken."""
    expected = tx.seen.setdefault(_EXPECTED, {})
    if token not in expected and held.tokens.get(token) is None:
        expected[token] = _read(held, tx, token)


class _Read(t.NamedTuple):
    at: float
    claims: Claims
    found: Found


def _read(held: State, tx: Tx, token: str) -> _Read:
    claims = kinds.read(held, token)
    found = find(tx, claims)
    return _Read(epoch.current(tx), claims, found)


def _ask(held: State, people: list[Row]) -> None:
    for user in people:
        held.directories.ask_user(user, strict=True)


def good(held: State, tx: Tx, token: str, late: int = 0) -> Known:
    """What a token means that a request is about. Raises NotFound, which says why it is no good; one that ended no longer
    ago than `late` seconds is good still."""
    if not token:
        raise NotFound("No token in the request")
    try:
        known = lookup(held, tx, token)
        check_age(known.resolved.claims, late)
    except BadToken:
        raise NotFound("Could not recognize Fernet token") from None
    except Unauthorized:
        raise NotFound("Could not find token: it has expired, was revoked, or its user or scope is no good any more.") from None
    return known


def _until(people: dict[str, Row]) -> float:
    """When the roles of a token may become fewer by themselves: those of its user, or of whoever lends them."""
    return min((times.micros(row.next_end) for row in people.values() if row.next_end is not None), default=math.inf)


def context_of(tx: Tx, resolved: Resolved, token: str | None) -> Context:
    """A token's meaning as policy and handlers see it."""
    project, domain = resolved.project, resolved.domain if resolved.scope == "d" else None
    names = frozenset(role.name.lower() for role in resolved.roles)
    credential = resolved.app_credential
    extra = {
        "methods": resolved.claims.methods,
        "token_roles": [{"id": role.id, "name": role.name} for role in resolved.roles],
        "group_ids": resolved.claims.federated.group_ids if resolved.claims.federated else [],
        "restricted": credential is not None and not credential.unrestricted,
        "access_rules": access_rules.of_credentials(tx, [credential.id])[credential.id] if credential else [],
        "token.domain.id": domain.id if domain else None,
        "token.project.domain.id": project.domain_id if project else None,
    }
    return Context(
        user_id=resolved.user.id, user_name=resolved.user.name, user_domain_id=resolved.user_domain.id,
        project_id=project.id if project else None, project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None, domain_id=domain.id if domain else None,
        system=resolved.scope == "s", roles=names, token=token, is_admin="admin" in names,
        app_credential_id=credential.id if credential else None,
        trust_id=resolved.trust.id if resolved.trust else None, extra=extra,
    )  # fmt: skip
