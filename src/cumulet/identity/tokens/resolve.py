"""What a token's claims come to now: who, where, with which roles. Nothing of it is in the token, so that whatever
changes counts at once."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import MANY, Row, Tx
from ...kernel.errors import ApiError, Unauthorized
from .. import application_credentials, assignments, oauth_access_tokens, times, tree, trusts
from ..federation.identity_providers import enabled_provider
from ..fernet import Claims
from ..memberships import NOW, next_end
from ..revocations import AUDIT, REVOKED
from ..tree import projects
from ..users import find_user, users


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


_PEOPLE = sa.select(users, REVOKED.label("revoked"), next_end(users.c.id).label("next_end")).where(users.c.id.in_(MANY))
_PLACE: sa.BindParameter[str | None] = sa.bindparam("place", type_=sa.String)
_of_place = sa.select(projects.c.domain_id).where(projects.c.id == _PLACE)
_of_people = sa.select(users.c.domain_id).where(users.c.id.in_(MANY))
_PLACES = sa.select(projects).where(projects.c.id.in_(sa.union_all(_of_people, _of_place, sa.select(_PLACE))))


def people_of(tx: Tx, claims: Claims) -> dict[str, Row]:
    """Those whom a token depends on: its user, and everyone of its trust. With each goes whether the token was revoked by itself
    (`revoked`), and when the first of their memberships that end by themselves will (`next_end`)."""
    ids = {claims.user_id} | trusts.people_of(tx, claims.trust_id)
    return {row.id: row for row in tx.many(_PEOPLE, ids, {AUDIT.key: claims.audit[0], NOW.key: clock.now()})}


def resolve(tx: Tx, claims: Claims, people: dict[str, Row]) -> Resolved:
    """people: as `people_of` finds them. Raises Unauthorized where the token is no good any more for another reason than its age."""
    if any(row.revoked for row in people.values()):
        raise denied()
    try:
        return _resolve(tx, claims, people)
    except ApiError:
        raise denied() from None


def enabled_user(tx: Tx, id: str) -> tuple[Row, Row]:
    """A user and their domain. Raises Unauthorized where either is disabled, NotFound where there is none."""
    user = find_user(tx, id)
    domain = tree.find_domain(tx, user.domain_id)
    if not user.enabled or not domain.enabled:
        raise denied()
    return user, domain


def _resolve(tx: Tx, claims: Claims, people: dict[str, Row]) -> Resolved:
    if claims.federated is not None:
        enabled_provider(tx, claims.federated.provider_id)
    kind, target = claims.scope
    place = target if kind in ("p", "d") else None
    places = {row.id: row for row in tx.many(_PLACES, people, {_PLACE.key: place})}
    user, user_domain = _person(people, places, claims.user_id, claims)
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
            user, user_domain = _person(people, places, trust.trustor_user_id, claims)
    elif claims.app_credential_id is not None:
        credential = _credential(tx, claims)
        roles = _allowed(tx, credential.user_id, credential.project_id, application_credentials.role_ids_of(tx, credential.id))
    elif claims.access_token_id is not None:
        access_token = oauth_access_tokens.find_access_token(tx, claims.access_token_id)
        granted = {role.id for role in assignments.effective(tx, set(access_token.role_ids))}
        roles = _allowed(tx, claims.user_id, access_token.project_id, granted)
    else:
        roles = _own(tx, claims, kind, target)
    return Resolved(claims, user, user_domain, project, domain, roles, trust, credential, access_token)


def _person(people: dict[str, Row], places: dict[str, Row], id: str, claims: Claims) -> tuple[Row, Row]:
    """Whom a token passes for, and their domain. Raises Unauthorized where either is disabled or not there, and where all that was
    issued so far has ended for them."""
    user = people.get(id)
    if user is None or user.gone or not user.enabled or claims.issued < times.micros(user.valid_from):
        raise denied()
    return user, _enabled(places, user.domain_id)


def _enabled(places: dict[str, Row], id: str) -> Row:
    """A project or a domain. Raises Unauthorized where it is disabled or not there."""
    place = places.get(id)
    if place is None or not place.enabled:
        raise denied()
    return place


def _own(tx: Tx, claims: Claims, kind: str, target: str) -> list[Row]:
    """The user's own roles where the token is for, and those of the groups that it says they are in; without any it is no good."""
    if kind == "u":
        return []
    on: dict[str, assignments.Kind] = {"p": "project", "d": "domain", "s": "system"}
    groups = claims.federated.group_ids if claims.federated else []
    return _some(assignments.roles_on(tx, claims.user_id, on[kind], None if kind == "s" else target, groups))


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
