"""One-time passwords that change every thirty seconds (RFC 6238), made of a secret that is a credential of type totp."""

from __future__ import annotations

import base64
import binascii
import hmac

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ...kernel import clock
from ...kernel.db import Tx
from ...kernel.runtime import Runtime
from ..credentials import blob_of, credentials
from ..times import micros

DIGITS, PERIOD, EARLIER = 6, 30, 1
"""How many digits there are, for how many seconds, and how many of the passcodes before are still taken."""


def fits(tx: Tx, runtime: Runtime, user_id: str, passcode: str) -> bool:
    """Whether a passcode is one of those that one of a user's secrets makes now."""
    now = micros(clock.now()) // 1_000_000
    made = [code for row in tx.rows(credentials, user_id=user_id, type="totp") for code in _codes(blob_of(runtime, row), now)]
    return any([hmac.compare_digest(code, passcode.encode("utf-8", "surrogatepass")) for code in made])


def _codes(secret: str, now: int) -> list[bytes]:
    """The passcodes of a secret in base 32, padded or not; of what is none, or shorter than 16 bytes, there are none."""
    try:
        key = base64.b32decode(secret + "=" * (-len(secret) % 8))
        maker = TOTP(key, DIGITS, SHA1(), PERIOD)
    except (binascii.Error, ValueError):
        return []
    return [maker.generate(max(0, now - PERIOD * i)) for i in range(EARLIER + 1)]
