"""What a server shows of why it failed."""

from __future__ import annotations

from ...kernel import clock


def fault(why: str, code: int = 500) -> dict:
    """The `fault` of a server in ERROR."""
    return {"code": code, "message": why[:255], "details": why if len(why) > 255 else "", "created": clock.iso(clock.now())}
