"""The one place that reads the time. Moments are naive UTC datetimes, whole microseconds, as the tables hold them."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def iso(moment: dt.datetime | None, *, micro: bool = False, zone: str = "Z") -> str | None:
    """A moment in the form most services print: `2026-01-31T12:00:00Z`; None stays None."""
    if moment is None:
        return None
    return moment.isoformat(timespec="microseconds" if micro else "seconds") + zone


def parse(text: str) -> dt.datetime:
    """A moment from ISO 8601 text, with or without zone. Raises ValueError."""
    moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
