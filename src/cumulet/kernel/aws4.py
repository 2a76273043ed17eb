"""Signature version 4 of Amazon's web services, as the "AWS General Reference" has it: what signing and checking have in common."""

from __future__ import annotations

import hashlib
import hmac
import typing as t
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


def signing_key(secret: str, scope: t.Iterable[str]) -> bytes:
    """The key for one day, region and service, and "aws4_request", which together are the scope."""
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_query(params: t.Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(params.items()))


def signature(key: bytes, moment: str, scope: t.Iterable[str], canonical: str) -> str:
    """Of a request in its canonical form. moment: as in the header X-Amz-Date."""
    text = "\n".join((ALGORITHM, moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()))
    return hmac.digest(key, text.encode(), "sha256").hex()
