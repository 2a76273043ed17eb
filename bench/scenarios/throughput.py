"""Requests a second, and how long they take: tokens issued, and a hundred servers listed with all details."""

from __future__ import annotations

from pathlib import Path

import load
from cloud import LISTEN, SIMULATED, running
from processes import cpu_seconds, pids
from report import Figure

from . import servers

CLIENTS, WARM, SECONDS = 16, 1.0, 8.0


def run(guest: Path) -> list[Figure]:
    before = pids()
    with running(guest, *SIMULATED, "--hosts", str(servers.HOSTS)) as cloud:
        cost = pids() - before
        figures = _measure("tokens issued", load.request("POST", "/identity/v3/auth/tokens", cloud.credentials()), cost)
        servers.boot(cloud)
        detail = load.request("GET", "/compute/v2.1/servers/detail", X_Auth_Token=cloud.token)
        figures += _measure(f"lists of {servers.SERVERS} servers", detail, cost)
        servers.remove(cloud)
    return figures


def _measure(name: str, wanted: bytes, cloud: set[int]) -> list[Figure]:
    """Warm up, then measure. Raises RuntimeError where a request fails."""
    load.closed_loop(LISTEN, wanted, clients=CLIENTS, seconds=WARM)
    used = cpu_seconds(cloud)
    found = load.closed_loop(LISTEN, wanted, clients=CLIENTS, seconds=SECONDS)
    used = cpu_seconds(cloud) - used
    if found.failed:
        raise RuntimeError(f"{name}: {len(found.failed)} of {len(found.answers)} requests failed: {set(found.failed)}")
    details = {"clients": CLIENTS, "requests": len(found.answers), "cloud_cpu_ms_each": 1e3 * used / len(found.answers),
               "cloud_cores": used / found.seconds, "generator_cores": found.generator}  # fmt: skip
    return [
        Figure(f"{name}, {CLIENTS} clients", found.per_second, "1/s", None, details),
        Figure(f"{name}, median", found.percentile(50), "ms"),
        Figure(f"{name}, 99th percentile", found.percentile(99), "ms"),
    ]
