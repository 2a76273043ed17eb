"""Identifiers: UUIDs with and without dashes, request ids, short stable tags."""

from __future__ import annotations

import hashlib
import os
import uuid


def new() -> str:
    """A random UUID with dashes, the form of compute, network, volume and image ids."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def new_hex() -> str:
    """A random UUID of 32 hex digits, the form of identity's ids."""
    return uuid.UUID(bytes=os.urandom(16), version=4).hex


def request_id() -> str:
    return "req-" + new()


def is_uuid(text: object) -> bool:
    """Whether a text is a UUID, with or without dashes."""
    try:
        return str(uuid.UUID(str(text))).replace("-", "") == str(text).lower().replace("-", "")
    except ValueError:
        return False


def tag(text: str, length: int = 4) -> str:
    """A short stable name for a long one, in hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
