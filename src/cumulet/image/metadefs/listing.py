"""What lists of metadata definitions are asked for by."""

from __future__ import annotations

from ...kernel.http import BadRequest


def check_listing(sort_dir: str | None, visibility: str | None, visibilities: tuple[str, ...]) -> None:
    """Raise BadRequest for an order or a visibility that is none."""
    if sort_dir not in (None, "asc", "desc"):
        raise BadRequest(f"Invalid sort direction: {sort_dir}")
    if visibility and visibility not in visibilities:
        raise BadRequest(f"Invalid visibility value: {visibility}")
