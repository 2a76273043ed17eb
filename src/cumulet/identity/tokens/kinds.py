"""Tokens as texts: sealed ones or signed ones are issued, as the setting says, and both are read."""

from __future__ import annotations

from ...kernel.db import Tx
from ...kernel.http import Request
from .. import access_rules, fernet, jws
from ..fernet import Claims
from ..state import State, state
from .resolve import Resolved


def issue(tx: Tx, request: Request, resolved: Resolved) -> str:
    """The text of a token that is good."""
    held = state(request.runtime)
    if request.runtime.config.token_provider == "fernet":
        return fernet.issue(held.token_keys, resolved.claims)
    roles = [role.name for role in resolved.roles]
    return jws.issue(held.signing_keys, resolved.claims, roles if _tells_all(tx, resolved) else None)


def read(held: State, token: str) -> Claims:
    """A token's claims, whether or not they still hold. Raises BadToken."""
    return jws.read(held.signing_keys, token) if jws.is_one(token) else fernet.read(held.token_keys, token)


def _tells_all(tx: Tx, resolved: Resolved) -> bool:
    """Whether its user and roles are all that there is to say of a token: it passes for nobody else, and is good without a
    certificate, for any request. With roles, others would be taken for good by who knows no more than these."""
    credential = resolved.app_credential
    restricted = credential is not None and access_rules.of_credentials(tx, [credential.id])[credential.id]
    return not restricted and resolved.claims.thumbprint is None and resolved.user.id == resolved.claims.user_id
