"""What a cloud costs that nobody uses: real drivers, no guests."""

from __future__ import annotations

import time
from pathlib import Path

from cloud import running
from processes import cpu_percent, pids, pss_mb
from report import Figure

SETTLE, WATCH = 5.0, 20.0


def run(guest: Path) -> list[Figure]:
    before = pids()
    with running(guest):
        time.sleep(SETTLE)
        processes = pids() - before
        cpu = cpu_percent(processes, WATCH)
        memory = pss_mb(processes)
    return [
        Figure("idle memory, all processes", sum(memory.values()), "MB PSS", 250, {"each": memory}),
        Figure("idle processor, all processes", cpu, "% of a core", 1, {"seconds": WATCH}),
    ]
