"""Running a cloud: its directory, its processes, and what a new one is given."""

from __future__ import annotations


class StartError(Exception):
    """A cloud, or a process of one, cannot start; the text says why and what to do."""
