"""Clients that bring a provider's token, which they got by themselves: with a password, their own secret, a device's code."""

from __future__ import annotations

from ....kernel.config import OpenIdProvider
from ....kernel.errors import Unauthorized
from ....kernel.http import Request
from .provider import provider_of
from .tokens import LONGEST, assertion, looked_up, refused, signed


async def said_by_bearer(request: Request, settings: OpenIdProvider) -> dict[str, str]:
    """What the token in a request says of whoever brings it. Raises Unauthorized."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("A token of the OpenID provider is expected, as in `Authorization: Bearer TOKEN`.")
    if len(token) > LONGEST or not token.isascii():
        raise refused(f"it has more than {LONGEST} characters, or odd ones")
    provider = provider_of(request.runtime, settings)
    check = signed if token.count(".") == 2 else looked_up
    return assertion(await check(provider, token, [settings.client_id, *settings.audiences]))
