"""How requests to EC2 and S3 are signed with a pair of keys: signature versions 2 and 4, as the "AWS General Reference" has them.

The older versions (0 and 1) say which parameters were signed in more than one way, and are refused.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import typing as t

from ..kernel import clock
from ..kernel.aws4 import ALGORITHM, canonical_query, signature, signing_key

WINDOW = dt.timedelta(minutes=15)
"""How far a signature's time may be from this host's clock."""
S3_SERVICES = {"s3", "iam", "sts"}
"""What a signature of version 4 that S3 was sent may be for."""


class BadSignature(Exception):
    """What cannot have been signed in a way that is known here, or was at another time."""


class Signed(t.NamedTuple):
    """A request, as the service that got it tells of it. Names of headers are in lower case."""

    verb: str
    host: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body_hash: str


def ec2(request: Signed, secret: str) -> list[str]:
    """The signatures that a request to EC2 may have. Some clients leave the port out of the host. Raises BadSignature."""
    if request.params.get("SignatureVersion") == "2":
        _check_time(request.params.get("Timestamp"))
        hosts = dict.fromkeys((request.host, request.host.rpartition(":")[0] or request.host))
        return [_version_2(request._replace(host=host), secret) for host in hosts]
    if request.headers.get("authorization", "").startswith(ALGORITHM) or request.params.get("X-Amz-Algorithm") == ALGORITHM:
        return [_version_4(request, secret)]
    raise BadSignature


def s3(text: bytes, secret: str) -> str:
    """The signature of what S3 made of a request to be signed. Its age is for S3 to judge, which knows how long an address that
    is signed is good. Raises BadSignature."""
    if not text.startswith(b"AWS4"):
        return base64.b64encode(hmac.digest(secret.encode(), text, "sha1")).decode()
    lines = text.decode("utf-8", "replace").split("\n")
    scope = lines[2].split("/") if len(lines) == 4 and lines[0] == ALGORITHM else []
    if len(scope) != 4 or scope[2] not in S3_SERVICES or scope[3] != "aws4_request":
        raise BadSignature
    return hmac.digest(signing_key(secret, scope), text, "sha256").hex()


def same(right: str, given: str) -> bool:
    return hmac.compare_digest(right.encode(), given.encode())


def _version_2(request: Signed, secret: str) -> str:
    query = canonical_query(request.params | {"SignatureMethod": "HmacSHA256"})
    text = "\n".join((request.verb, request.host, request.path, query))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def _version_4(request: Signed, secret: str) -> str:
    said = _said(request)
    moment, signed = request.headers.get("x-amz-date") or request.params.get("X-Amz-Date", ""), said["SignedHeaders"].split(";")
    scope = said["Credential"].split("/")[1:]
    if len(scope) != 4 or scope[3] != "aws4_request" or not moment.startswith(scope[0]) or "host" not in signed:
        raise BadSignature
    _check_time(moment)
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in signed if name in request.headers)
    query = "" if request.verb.upper() == "POST" else canonical_query(request.params)
    canonical = "\n".join((request.verb.upper(), request.path, query, headers, said["SignedHeaders"], request.body_hash))
    return signature(signing_key(secret, scope), moment, scope, canonical)


def _said(request: Signed) -> dict[str, str]:
    """What the Authorization header, or the query without one, says of a signature of version 4."""
    header = request.headers.get("authorization")
    if header is None:
        return {name: request.params.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders")}
    pairs = (part.strip().partition("=") for part in header.removeprefix(ALGORITHM).split(","))
    parts = {name: value for name, _, value in pairs}
    return {name: parts.get(name, "") for name in ("Credential", "SignedHeaders")}


def _check_time(text: str | None) -> None:
    """Raise BadSignature for a signature without a time, which would be good for ever, and for one of another time."""
    try:
        apart = clock.now() - clock.parse(text or "")
    except (ValueError, OverflowError):
        raise BadSignature from None
    if abs(apart) > WINDOW:
        raise BadSignature
