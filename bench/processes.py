"""What processes cost: memory by /proc/PID/smaps_rollup, processor time by /proc/PID/stat."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def pids() -> set[int]:
    """The processes of this process namespace."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}


def pss_mb(of: set[int]) -> dict[str, float]:
    """Proportional set size in MB (10^6 bytes), by process: its name and id."""
    found = {}
    for pid in sorted(of):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().split(" --")[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        kib = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        found[f"{name.rpartition('/')[2].strip()} ({pid})"] = round(kib * 1024 / 1e6, 1)
    return found


def cpu_seconds(of: set[int]) -> float:
    """Processor time that these processes have used, in user and kernel mode."""
    return sum(_ticks(pid) for pid in of) / TICK


def cpu_percent(of: set[int], seconds: float) -> float:
    """How much of one core these processes use, watched for so many seconds."""
    before, began = cpu_seconds(of), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(of) - before) / (time.monotonic() - began)


def _ticks(pid: int) -> int:
    """Fields 14 and 15 of proc(5)'s stat; 0 for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])
