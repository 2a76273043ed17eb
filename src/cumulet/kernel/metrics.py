"""What `/metrics` tells Prometheus. Processes that name one directory in `PROMETHEUS_MULTIPROC_DIR` before this is imported count
together, in files there."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own name."""

REGISTRY = CollectorRegistry()
REQUESTS = Histogram(
    "cumulet_request_seconds", "Time to answer a request", ["service", "operation", "status"], registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip
TASKS = Counter("cumulet_tasks_total", "Sagas ended", ["saga", "outcome"], registry=REGISTRY)
RECONCILED = Counter("cumulet_reconciler_rounds_total", "Rounds of each reconciler", ["reconciler", "outcome"], registry=REGISTRY)
ALERTS = Counter("cumulet_alerts_total", "Things an operator should look at", ["kind"], registry=REGISTRY)
COMMANDS = Histogram("cumulet_agent_command_seconds", "Time of agents' commands", ["command", "outcome"], registry=REGISTRY)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    if SHARED not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return generate_latest(together)
