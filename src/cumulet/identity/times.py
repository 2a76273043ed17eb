"""Moments as this service reads and prints them: UTC, to the microsecond."""

from __future__ import annotations

import datetime as dt

from ..kernel import clock
from ..kernel.errors import BadRequest

_EPOCH = dt.datetime(1970, 1, 1)
_MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


def expiry(text: str) -> dt.datetime:
    """When something that a client makes ends. Raises BadRequest for what is no time, and for what is past."""
    moment = moment_told(text)
    if moment < clock.now():
        raise BadRequest(f"The 'expires_at' must not be before now. {_MALFORMED}")
    return moment


def moment_told(text: str) -> dt.datetime:
    """A moment in a client's words. Raises BadRequest for what is none."""
    try:
        if len(text) <= len("2026-01-31"):
            raise ValueError("a date is no moment")
        return clock.parse(text)
    except (ValueError, OverflowError):
        raise BadRequest(f"Timestamp not in expected format. {_MALFORMED}") from None


def iso(moment: dt.datetime | None, zone: str = "Z") -> str | None:
    return clock.iso(moment, micro=True, zone=zone)


def micros(moment: dt.datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def moment(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=micros)
