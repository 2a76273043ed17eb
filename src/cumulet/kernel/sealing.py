"""Sealing what rests in the database and is for nobody who reads it there, with a key in a file of the control plane's own.

A copy of the database alone says nothing of it. Processes with one database and different keys cannot open each other's.
"""

from __future__ import annotations

import functools
import hmac
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from . import files


class Unsealable(Exception):
    """What was sealed with another key, or is no seal of ours."""


class Box:
    """One key: it seals and opens, and makes marks by which texts are known again that cannot be guessed without it."""

    def __init__(self, key: bytes):
        self._key, self._fernet = key, Fernet(key)

    def seal(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def open(self, sealed: bytes) -> bytes:
        """Raises Unsealable."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise Unsealable from None

    def mark(self, data: bytes) -> str:
        """64 hex digits, the same for the same data."""
        return hmac.digest(self._key, b"mark:" + data, "sha256").hex()


def own_box(root: Path) -> Box:
    """The box of the control plane whose data directory this is."""
    return box(root / "control" / "answers.key")


@functools.cache
def box(path: Path) -> Box:
    """The box whose key is in this file; it is made, for its owner alone, where it is not there."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_first(path, Fernet.generate_key())
    return Box(path.read_bytes())
