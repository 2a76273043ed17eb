"""What answers about metadata definitions have in common."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from ...kernel import clock
from ...kernel.db import Row
from ...kernel.http import UNSET, UnsetType

Kept = t.TypeVar("Kept")


def told(value: Kept | None) -> Kept | UnsetType:
    """Nothing is told of what is not there."""
    return UNSET if value is None else value


def moments(row: Row) -> dict[str, str]:
    return {name: clock.iso(getattr(row, name)) or "" for name in ("created_at", "updated_at")}


def link(namespace: str) -> str:
    """Where a namespace is, below the service's root."""
    return f"/v2/metadefs/namespaces/{quoted(namespace)}"


def quoted(name: str) -> str:
    return quote(name, safe=":")
