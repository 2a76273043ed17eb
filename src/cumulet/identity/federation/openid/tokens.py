"""A provider's tokens: signed ones are checked here, by the provider's public keys; about others the provider is asked (RFC 7662).

Of a signed one the issuer, the audience and the end have to be there and right. Algorithms with a shared secret are no choice:
a public key would do as the secret. What is said of somebody has the names that Apache's mod_auth_openidc gives it with the
prefix `OIDC-`, in the forms that a mapping finds them in there, so that mappings written for it mean the same here.
"""

from __future__ import annotations

import re
import time
import typing as t

import msgspec

from ....kernel.errors import Unauthorized
from .provider import Json, Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KINDS = ("RSA", "EC", "OKP")
LEEWAY, LONGEST = 60, 16_384
"""Seconds by which clocks may differ, and characters of a token."""
ISSUER = "HTTP_OIDC_ISS"
"""The variable that says which provider it is, as mappings and protocols call it."""


async def signed(provider: Provider, token: str, audiences: list[str]) -> Json:
    """What a signed token says. Raises Unauthorized."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("it is signed by an algorithm that is none of " + ", ".join(ALGORITHMS))
        key = jwt.PyJWK(await _key(provider, header), algorithm=algorithm)
        options: t.Any = {"require": ["exp", "iss", "aud"]}
        return jwt.decode(
            token, key, algorithms=[algorithm], audience=audiences, issuer=provider.settings.issuer, leeway=LEEWAY, options=options
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise refused(str(error)) from None


async def looked_up(provider: Provider, token: str, audiences: list[str]) -> Json:
    """What the provider says of a token. Raises Unauthorized."""
    found = await provider.ask(await provider.endpoint("introspection_endpoint"), {"token": token, "token_type_hint": "access_token"})
    if found.get("active") is not True:
        raise refused("its provider says that it is not active")
    meant_for = found.get("aud", found.get("client_id"))
    if not any(one in audiences for one in (meant_for if isinstance(meant_for, list) else [meant_for])):
        raise refused("it is meant for somebody else")
    ends = found.get("exp")
    if ends is not None and not (isinstance(ends, int | float) and ends > time.time() - LEEWAY):
        raise refused("it has expired")
    if found.setdefault("iss", provider.settings.issuer) != provider.settings.issuer:
        raise refused("another provider issued it")
    return found


def refused(why: str) -> Unauthorized:
    return Unauthorized(f"The OpenID provider's token is not accepted: {why[:300]}.")


def assertion(claims: Json) -> dict[str, str]:
    """What claims are called, and look like, in the variables of a web server. Who says it, and of whom, comes last: no other
    claim passes for it."""
    said: dict[str, str] = {}
    for name in sorted(claims, key=lambda name: (name in ("iss", "sub"), name)):
        text = _text(claims[name])
        if text is not None:
            said[f"OIDC-{name}"] = said["HTTP_OIDC_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()] = text
    return said | ({"REMOTE_USER": said["OIDC-sub"]} if "OIDC-sub" in said else {})


def _text(value: t.Any) -> str | None:
    """Several values have semicolons between them. One that has a semicolon itself would count as two: it is left out."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return ";".join(text for one in value if (text := _text(one)) is not None and ";" not in text)
    return msgspec.json.encode(value).decode()


async def _key(provider: Provider, header: Json) -> Json:
    """The public key that a token says it is signed with."""
    for anew in (False, True):
        fit = {"alg": header["alg"], "use": "sig"} | ({"kid": header["kid"]} if "kid" in header else {})
        keys = [key for key in await provider.keys(anew=anew) if key.get("kty") in KINDS]
        found = [key for key in keys if all(key.get(name, value) == value for name, value in fit.items())]
        if len(found) == 1:
            return found[0]
    raise refused("it is signed with a key that its provider does not have")
