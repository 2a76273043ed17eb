"""From `up` to the first token: of a new data directory, and of one that was used before."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from cloud import Cloud, directory
from report import Figure

TIMES = 3


def run(guest: Path) -> list[Figure]:
    new, used = [], []
    for _ in range(TIMES):
        with directory(guest) as root:
            cloud = Cloud(root, ())
            new.append(_first_token(cloud))
            used.append(_first_token(cloud))
    return [
        Figure("up to first token, new directory", statistics.median(new), "s", 3, {"each": new}),
        Figure("up to first token, used directory", statistics.median(used), "s", 3, {"each": used}),
    ]


def _first_token(cloud: Cloud) -> float:
    """Seconds from starting `up` to having a token; the cloud is down afterwards."""
    began = time.monotonic()
    cloud.up()
    try:
        cloud.login()
        return time.monotonic() - began
    finally:
        cloud.down()
