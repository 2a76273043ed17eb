"""How many a page of a list is to have."""

from __future__ import annotations

from ..kernel.http import BadRequest


def amount(limit: str) -> int:
    """The most that a page is to have. Raises BadRequest."""
    digits = limit.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise BadRequest("limit param must be an integer")
    if digits != limit:
        raise BadRequest("limit param must be positive")
    return int(digits[:10])
