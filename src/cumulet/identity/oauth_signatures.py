"""OAuth 1.0a signatures (RFC 5849): what a request's Authorization header says, and with which secrets it is signed."""

from __future__ import annotations

import base64
import hmac
import re
import string
import typing as t
from urllib.parse import quote, unquote
from urllib.request import parse_http_list

from ..kernel import clock
from ..kernel.errors import BadRequest
from ..kernel.http import Request
from .attributes import expecting
from .times import micros

METHOD = "HMAC-SHA1"
WINDOW = 600
"""Seconds that a request's timestamp may differ from this host's clock."""
MANDATORY = ("oauth_signature", "oauth_consumer_key", "oauth_nonce", "oauth_timestamp", "oauth_signature_method")
VERIFIER = "".join(sorted(set(string.ascii_letters + string.digits) - set("jiIl1oO0")))
"""What verifiers are made of: characters that are not taken for others when they are told."""
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def told(request: Request, *names: str) -> dict[str, str]:
    """What the header says, by section 3.5.1. Raises BadRequest where there is none, and where it lacks one of these."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "oauth":
        raise BadRequest("No Authorization headers found, cannot proceed with OAuth related calls.")
    pairs = [re.fullmatch(r'([^=]+)="([^"]*)"', part.strip()) for part in parse_http_list(rest)]
    oauth = {unquote(pair[1]): unquote(pair[2]) for pair in pairs if pair}
    if len(oauth) < len(pairs) or "\0" in "".join(oauth.values()):
        raise BadRequest('The Authorization header is malformed: OAuth name="value", each name once, is expected.')
    for name in names:
        if not oauth.get(name):
            raise expecting(name, "request")
    return oauth


def check(oauth: dict[str, str], *names: str) -> None:
    """Raise BadRequest, as section 3.2 has it, where a request lacks what is mandatory (these names too), or was signed at
    another time or by another method."""
    if any(not oauth.get(name) for name in (*MANDATORY, *names)):
        raise _invalid("Missing mandatory OAuth parameters.")
    if oauth["oauth_signature_method"] != METHOD:
        raise _invalid(f"Invalid signature method: {METHOD} is expected.")
    if oauth.get("oauth_version", "1.0") != "1.0":
        raise _invalid("Invalid OAuth version.")
    if not re.fullmatch(r"[0-9]{10}", oauth["oauth_timestamp"]):
        raise _invalid("Invalid timestamp size")
    if abs(micros(clock.now()) - int(oauth["oauth_timestamp"]) * 1_000_000) > WINDOW * 1_000_000:
        raise _invalid(f"Timestamp given is invalid, differ from allowed by over {WINDOW} seconds.")


def check_verifier(text: str) -> None:
    """Raise BadRequest for what no verifier looks like."""
    if not re.fullmatch(f"[{VERIFIER}]{{8}}", text):
        raise _invalid("Invalid verifier format.")


def signed(request: Request, oauth: dict[str, str], consumer_secret: str, token_secret: str = "", query: bool = True) -> bool:
    """Whether these secrets made the request's signature (section 3.4.2). query: whether its parameters are signed too."""
    pairs = [(name, value) for name, value in oauth.items() if name not in ("oauth_signature", "realm")]
    text = base_string(request.method, request.root + request.path, pairs + (request.query if query else []))
    right = signature(text, consumer_secret, token_secret)
    return hmac.compare_digest(right.encode(), oauth["oauth_signature"].encode())


def base_string(method: str, url: str, pairs: t.Iterable[tuple[str, str]]) -> str:
    """What is signed (section 3.4.1). url: without a query; its host may be any text that a client calls this one."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    host = host.lower().removesuffix(DEFAULT_PORTS.get(scheme, ""))
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    said = "&".join(f"{name}={value}" for name, value in encoded)
    return "&".join(_encoded(part) for part in (method.upper(), f"{scheme}://{host}{slash}{path}", said))


def signature(text: str, consumer_secret: str, token_secret: str) -> str:
    key = f"{_encoded(consumer_secret)}&{_encoded(token_secret)}"
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha1")).decode()


def _encoded(text: str) -> str:
    """Percent-encoded by section 3.6."""
    return quote(text, safe="~")


def _invalid(why: str) -> BadRequest:
    return BadRequest(f"Validation failed with errors: invalid_request, detail message is: {why}.")
