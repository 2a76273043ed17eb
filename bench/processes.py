"""What processes cost: memory by /proc/PID/smaps_rollup, processor time by /proc/PID/stat."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
LISTEN = "0A"
"""TCP_LISTEN, as /proc/net/tcp has it."""


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


def listening(address: str) -> set[int]:
    """The processes that hold the socket which listens at an IPv4 address, HOST:PORT: a server's first process and its workers."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{fields[9]}]" for fields in lines if fields[1].endswith(port) and fields[3] == LISTEN}
    return {pid for pid in pids() if sockets & _open(pid)}


def reset_peak(of: set[int]) -> float:
    """Have the most memory that each process had be what it has now, of which the sum, in MB (10^6 bytes), is given back."""
    for pid in of:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status_mb(of, "VmRSS:")


def peak_mb(of: set[int]) -> float:
    """The most memory that each of these processes had, summed, in MB (10^6 bytes); pages they share count for each."""
    return _status_mb(of, "VmHWM:")


def _status_mb(of: set[int], name: str) -> float:
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in of]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith(name)) * 1024 / 1e6


def _open(pid: int) -> set[str]:
    """What a process's descriptors are; those that it closed meanwhile are left out."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in list(Path(f"/proc/{pid}/fd").iterdir()):
            with contextlib.suppress(OSError):
                found.add(os.readlink(entry))
    return found


def _ticks(pid: int) -> int:
    """Fields 14 and 15 of proc(5)'s stat; 0 for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])
