"""Tokens that stand for less than their user: lent by a trust, or got with something that the user made for one purpose (an
application credential, an OAuth access token, a pair of EC2 keys). With one, nothing is made or read that would reach
further or last longer than what it was got with: the real service refuses the same, in the same words.
"""

from __future__ import annotations

from ..kernel.errors import Forbidden
from ..kernel.http import Request

PRIMARY = frozenset({"external", "mapped", "openid", "password", "saml2", "token", "totp"})
"""The methods by which users themselves log in. Any other is a delegation, one that is yet to be invented too."""


def with_credential(request: Request) -> bool:
    """Whether the caller's token was got by a method that is not their user's own."""
    return not PRIMARY.issuperset(request.context.extra["methods"])


def is_delegated(request: Request) -> bool:
    return request.context.trust_id is not None or with_credential(request)


def refuse_for_credentials(request: Request) -> None:
    """Secrets that users log in with, as one-time passwords' and EC2 keys', are theirs alone."""
    if is_delegated(request):
        raise forbidden(request, "Delegated tokens cannot access credentials directly")


def refuse_for_trusts(request: Request) -> None:
    """A trust may be passed on by its trustee, and that checks what it lends. What else is delegated makes none: a trust lends
    whatever its trustor has."""
    if with_credential(request):
        raise forbidden(request, "Delegated tokens cannot manage trusts.")


def refuse_for_application_credentials(request: Request) -> None:
    """They last for longer than a trust or an OAuth access token. Whether they may make each other is another question."""
    if is_delegated(request) and "application_credential" not in request.context.extra["methods"]:
        raise Forbidden("Cannot manage application credentials with a token issued via delegation.")


def refuse_for_oauth(request: Request, what: str) -> None:
    if is_delegated(request):
        raise Forbidden(f"Cannot {what} with a token issued via delegation.")


def forbidden(request: Request, action: str) -> Forbidden:
    return Forbidden(request.api.forbidden.format(rule=action))
