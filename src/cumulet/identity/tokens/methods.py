"""Finding out who asks for a token: by password, by another token, by an application credential, by an
OAuth 1.0a signature, by a one-time password, by the word of a trusted proxy.

Each method first reads who is meant and the hash of their secret; the secret is checked afterwards, outside of any
transaction, for that takes a quarter of a second.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.errors import Forbidden, Unauthorized
from ...kernel.http import Request
from .. import tree
from ..application_credentials import application_credentials
from ..attributes import expecting
from ..delegation import PRIMARY
from ..domain_drivers import driver_of
from ..fernet import METHODS, Claims
from ..oauth_access_tokens import of_request
from ..password_rules import locked
from ..state import State, state
from ..users import users
from . import totp
from .body import (
    Auth,
    ByApplicationCredential,
    ByFederation,
    ByPasscode,
    ByPassword,
    ByProxy,
    ByToken,
    NamedDomain,
    NamedProject,
    NamedUser,
)  # fmt: skip
from .caller import good
from .resolve import Resolved, denied

SUPPORTED = ("password", "token", "application_credential", "oauth1", "totp", "external", "mapped", "saml2", "openid")


class Found(t.NamedTuple):
    """Who a method says is asking: nobody, where it names somebody who is not there."""

    user_id: str | None = None
    secret: str | None = None
    hashed: str | None = None
    directory: str | None = None
    """The domain whose directory has the user, or has not, and is asked about the password."""
    local_id: str | None = None
    claims: Claims | None = None
    credential: Row | None = None
    access_token: Row | None = None

    def __repr__(self) -> str:
        return f"<Found {self.user_id}>"  # without the secret and its hash

    @property
    def by_password(self) -> bool:
        return self.secret is not None and self.credential is None


def find(tx: Tx, request: Request, auth: Auth) -> list[Found]:
    """What each method of a request says. Raises BadRequest for a method without its part, Unauthorized for a
    method that is none of ours, NotFound for a token that is no good."""
    identity = auth.identity
    found = []
    for method in dict.fromkeys(identity.methods):
        if method not in SUPPORTED:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        part = getattr(identity, method)
        if part is None:
            raise expecting(method, "identity")
        found.append(_found(tx, request, part))
    if not found:
        raise denied()
    return found


def check_there(tx: Tx, request: Request, found: list[Found]) -> None:
    """Raise Unauthorized where a directory has no longer whom it had, or cannot be asked. This comes after secrets were checked, so
    that how long it takes tells nobody who is there."""
    for id in {one.user_id for one in found if one.user_id}:
        row = tx.get(users, id=id)
        state(request.runtime).directories.ask_user(row, strict=True)
        if row is None or row.gone:
            raise denied()


def check_same(found: list[Found]) -> str:
    """The one user that all methods name. Raises Unauthorized."""
    names = {one.user_id for one in found}
    if len(names) != 1 or None in names:
        raise denied()
    return str(names.pop())


def methods_of(auth: Auth, found: list[Found], receipt: list[str]) -> list[str]:
    """The methods of this request, those of its receipt and, where it brings a token, those of that."""
    before = [method for one in found if one.claims for method in one.claims.methods]
    return [method for method in METHODS if method in {*auth.identity.methods, *before, *receipt}]


def rules_of(user: Row) -> list[set[str]]:
    """The sets of methods one of which an administrator asks of a user; a method that there is not is not asked for."""
    if not user.options.get("multi_factor_auth_enabled", True):
        return []
    rules = [set(rule) & set(SUPPORTED) for rule in user.options.get("multi_factor_auth_rules", [])]
    return [rule for rule in rules if rule]


def enough(user: Row, methods: list[str]) -> bool:
    """Whether these methods are what an administrator asks of a user."""
    rules = rules_of(user)
    return not rules or any(rule <= set(methods) for rule in rules)


def named_in_domain(tx: Tx, table: sa.Table, named: NamedUser | NamedProject, noun: str) -> Row | None:
    """The row meant, by id or by name and domain, where there is one. Raises BadRequest for one that is named by less."""
    if named.id is not None:
        return tx.get(table, id=named.id)
    if named.name is None:
        raise expecting("id or name", noun)
    if named.domain is None:
        raise expecting("domain", noun)
    domain = named_domain(tx, named.domain)
    logs_in_here = {"shadow": False} if table is users else {}
    return domain and tx.get(table, domain_id=domain.id, name=named.name, **logs_in_here)


def named_domain(tx: Tx, named: NamedDomain) -> Row | None:
    if named.id is not None:
        row = tx.get(tree.projects, id=named.id)
        return row if row is not None and row.is_domain else None
    if named.name is None:
        raise expecting("id or name", "domain")
    return tree.domain_named(tx, named.name)


def _found(tx: Tx, request: Request, part: t.Any) -> Found:
    if isinstance(part, ByToken):
        return _by_token(tx, state(request.runtime), part.id)
    if isinstance(part, ByFederation):
        return _by_federation(tx, state(request.runtime), part)
    if isinstance(part, ByPassword):
        return _by_password(tx, request, part)
    if isinstance(part, ByPasscode):
        return _by_passcode(tx, request, part)
    if isinstance(part, ByProxy):
        return _by_proxy(tx, request)
    return _by_credential(tx, request, part) if isinstance(part, ByApplicationCredential) else _by_signature(tx, request)


def _named_user(tx: Tx, request: Request, named: NamedUser) -> Row | None:
    """The user meant. One whom a directory has is found by a name as the directory compares names."""
    domain_id = _directory(tx, named, None)
    if domain_id is None or named.name is None:
        return named_in_domain(tx, users, named, "user")
    id = state(request.runtime).directories.user_named(domain_id, named.name)
    return tx.get(users, id=id) if id else None


def _directory(tx: Tx, named: NamedUser, user: Row | None) -> str | None:
    """The domain whose directory is to be asked about a user's password, or about nobody's, which takes as long."""
    if user is not None:
        return user.domain_id if user.local_id is not None else None
    domain = named_domain(tx, named.domain) if named.id is None and named.domain else None
    return domain.id if domain is not None and driver_of(tx, domain.id) != "sql" else None


def _by_password(tx: Tx, request: Request, part: ByPassword) -> Found:
    """Of a user who is locked out, no password is the right one."""
    if part.user.password is None:
        raise denied()
    user = _named_user(tx, request, part.user)
    if directory := _directory(tx, part.user, user):
        return Found(user.id if user else None, part.user.password, None, directory, user.local_id if user else None)
    may_try = user is not None and not locked(user, request.runtime.config.security_compliance)
    return Found(user.id if user else None, part.user.password, user.password_hash if user and may_try else None)


def _by_federation(tx: Tx, held: State, part: ByFederation) -> Found:
    if part.id is None:
        for name in ("identity_provider", "protocol"):
            if getattr(part, name) is None:
                raise expecting(name, "mapped")
        raise denied()
    found = _by_token(tx, held, part.id)
    if found.claims is None or found.claims.federated is None:
        raise denied()
    return found


def _by_token(tx: Tx, held: State, token: str) -> Found:
    resolved = good(held, tx, token).resolved
    _refuse_delegated(resolved)
    return Found(resolved.claims.user_id, claims=resolved.claims)


def _refuse_delegated(resolved: Resolved) -> None:
    """Raise Forbidden for a token that stands for less than its user: another got with it could be for more."""
    if resolved.access_token is not None:
        raise _forbidden("Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead")
    if resolved.trust is not None:
        raise _forbidden("Using trust-scoped token to create another token. Create a new trust-scoped token instead")
    if not PRIMARY.issuperset(resolved.claims.methods):
        raise _forbidden("Using a delegated token to create another token is not allowed.")


def _forbidden(action: str) -> Forbidden:
    return Forbidden(f"You are not authorized to perform the requested action: {action}.")


def _by_credential(tx: Tx, request: Request, part: ByApplicationCredential) -> Found:
    if part.id is None and part.name is None:
        raise expecting("name or ID", "application credential")
    if part.secret is None:
        raise expecting("secret", "application credential")
    if part.id is not None:
        row = tx.get(application_credentials, id=part.id)
    elif part.user is None:
        raise expecting("user", "application credential")
    else:
        user = _named_user(tx, request, part.user)
        row = user and tx.get(application_credentials, user_id=user.id, name=str(part.name))
    if row is None:
        return Found(None, part.secret)
    return Found(row.user_id, part.secret, row.secret_hash, credential=row)


def _by_signature(tx: Tx, request: Request) -> Found:
    row = of_request(tx, request)
    return Found(row.authorizing_user_id if row else None, access_token=row)


def _by_passcode(tx: Tx, request: Request, part: ByPasscode) -> Found:
    if part.user.passcode is None:
        raise expecting("passcode", "user")
    user = _named_user(tx, request, part.user)
    return Found(user.id if user and totp.fits(tx, request.runtime, user.id, part.user.passcode) else None)


def _by_proxy(tx: Tx, request: Request) -> Found:
    """The user whom the proxy in front has let in, of the domain that it names, or of the default domain."""
    name, domain = request.told_by_proxy("remote-user"), request.told_by_proxy("remote-domain")
    if name is None:
        raise denied()
    where = NamedDomain(name=domain) if domain is not None else NamedDomain(id=tree.DEFAULT_DOMAIN)
    user = _named_user(tx, request, NamedUser(name=name, domain=where))
    return Found(user.id if user else None)
