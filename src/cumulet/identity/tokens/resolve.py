"""What a token's claims come to now: who, where, with which roles. Nothing of it is in the token, so that whatever
changes counts at once."""

from __future__ import annotations

import typing as t

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.errors import ApiError, Unauthorized
from .. import application_credentials, assignments, oauth_access_tokens, times, tree, trusts
from ..federation.identity_providers import enabled_provider
from ..fernet import Claims
from ..users import find_user
from .found import Found, find


class Resolved(t.NamedTuple):
    """A token that is good. `user` is the trustor where a trust lets the trustee pass for them."""

    claims: Claims
    user: Row
    user_domain: Row
    project: Row | None
    domain: Row | None
    """The domain that the token is for, or that its project is in."""
    roles: list[Row]
    trust: Row | None
    app_credential: Row | None
    access_token: Row | None

    @property
    def scope(self) -> str:
        return self.claims.scope[0]


def check_age(claims: Claims, late: int = 0) -> None:
    """Raise Unauthorized where a token has ended, longer ago than so many seconds."""
    if claims.expires + late * 1_000_000 <= times.micros(clock.now()):
        raise denied()


def denied() -> Unauthorized:
    """What is said to anyone who is not let in, whatever the reason."""
    return Unauthorized("The request you have made requires authentication.")


def resolve(tx: Tx, claims: Claims, found: Found | None = None) -> Resolved:
    """found: what the database says of the token, if that is known. Raises Unauthorized where the token is no good any more for
    another reason than its age."""
    found = found or find(tx, claims)
    if any(row.revoked for row in found.people.values()):
        raise denied()
    try:
        return _resolve(tx, claims, found)
    except ApiError:
        raise denied() from None


def enabled_user(tx: Tx, id: str) -> tuple[Row, Row]:
    """A user and their domain. Raises Unauthorized where either is disabled, NotFound where there is none."""
    user = find_user(tx, id)
    domain = tree.find_domain(tx, user.domain_id)
    if not user.enabled or not domain.enabled:
        raise denied()
    return user, domain


def _resolve(tx: Tx, claims: Claims, found: Found) -> Resolved:
    if claims.federated is not None:
        enabled_provider(tx, claims.federated.provider_id)
    kind, target = claims.scope
    places = found.places
    user, user_domain = _person(found, claims.user_id, claims)
    project = domain = trust = credential = access_token = None
    if kind == "p":
        project = _enabled(places, target)
        domain = _enabled(places, project.domain_id) if project.domain_id else project
    elif kind == "d":
        domain = _enabled(places, target)
        if not domain.is_domain:
            raise denied()
    if claims.trust_id is not None:
        trust = trusts.find_trust(tx, claims.trust_id)
        roles = _lent(tx, trust)
        if trust.impersonation:
            user, user_domain = _person(found, trust.trustor_user_id, claims)
    elif claims.app_credential_id is not None:
        credential = _credential(tx, claims)
        roles = _allowed(tx, credential.user_id, credential.project_id, application_credentials.role_ids_of(tx, credential.id))
    elif claims.access_token_id is not None:
        access_token = oauth_access_tokens.find_access_token(tx, claims.access_token_id)
        granted = {role.id for role in assignments.effective(tx, set(access_token.role_ids))}
        roles = _allowed(tx, claims.user_id, access_token.project_id, granted)
    else:
        roles = [] if kind == "u" else _some(found.roles)
    return Resolved(claims, user, user_domain, project, domain, roles, trust, credential, access_token)


def _person(found: Found, id: str, claims: Claims) -> tuple[Row, Row]:
    """Whom a token passes for, and their domain. Raises Unauthorized where either is disabled or not there, and where all that was
    issued so far has ended for them."""
    user = found.people.get(id)
    if user is None or user.gone or not user.enabled or claims.issued < times.micros(user.valid_from):
        raise denied()
    return user, _enabled(found.places, user.domain_id)


def _enabled(places: dict[str, Row], id: str) -> Row:
    """A project or a domain. Raises Unauthorized where it is disabled or not there."""
    place = places.get(id)
    if place is None or not place.enabled:
        raise denied()
    return place


def _lent(tx: Tx, trust: Row) -> list[Row]:
    """The roles that a trust lends, all of which its first trustor must still have; without a project there are none."""
    trustor, _ = enabled_user(tx, trusts.original_trustor(tx, trust))
    if trust.project_id is None:
        return []
    lent = assignments.effective(tx, trusts.role_ids_of(tx, trust.id))
    own = {role.id for role in assignments.roles_on(tx, trustor.id, "project", trust.project_id)}
    return _some(lent if all(role.id in own for role in lent) else [])


def _credential(tx: Tx, claims: Claims) -> Row:
    row = tx.get(application_credentials.application_credentials, id=claims.app_credential_id)
    if row is None or (row.expires_at is not None and row.expires_at <= clock.now()):
        raise denied()
    return row


def _allowed(tx: Tx, user_id: str, project_id: str, allowed: set[str]) -> list[Row]:
    """The roles of an application credential or an OAuth access token that its user still has."""
    own = assignments.roles_on(tx, user_id, "project", project_id)
    return _some([role for role in own if role.id in allowed])


def _some(roles: list[Row]) -> list[Row]:
    if not roles:
        raise denied()
    return roles
