"""Figures, the table of them that is printed, and the file of each scenario."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import typing as t
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"


class Figure(t.NamedTuple):
    """A number that was measured. `target` is what it must stay below, None where there is no such promise;
    `details` are the numbers that explain it."""

    name: str
    value: float
    unit: str
    target: float | None = None
    details: dict[str, t.Any] = {}

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.value < self.target else "MISSED"


def table(figures: list[Figure]) -> str:
    """The figures as lines of text."""
    rows = [("figure", "value", "target", "")]
    for one in figures:
        target = "" if one.target is None else f"< {one.target:g} {one.unit}"
        rows.append((one.name, f"{one.value:.4g} {one.unit}", target, one.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def write(scenario: str, figures: list[Figure], on: dict[str, t.Any]) -> Path:
    """Write a scenario's figures, measured on the machine `on`, as `results/<scenario>.json`, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    measured = [one._asdict() | {"met": None if one.target is None else one.verdict == "met"} for one in figures]
    document = {"scenario": scenario, "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "commit": commit(),
                "machine": on, "figures": measured}  # fmt: skip
    path = RESULTS / f"{scenario}.json"
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(document, indent=2) + "\n")
    fresh.replace(path)
    return path


def commit() -> dict[str, t.Any]:
    """The commit that was measured, and whether the source differs from it; nulls outside of a checkout."""
    try:
        return {"id": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain", "src"))}
    except (OSError, subprocess.CalledProcessError):
        return {"id": None, "changed": None}


def machine() -> dict[str, t.Any]:
    """What the figures depend on. `load` is the load average now: where it is well above 0, others are at work too."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": models[0] if models else platform.machine(), "cores": os.cpu_count(), "memory_mb": round(memory * 1024 / 1e6),
        "kernel": platform.release(), "system": _system(), "python": platform.python_version(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }  # fmt: skip


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout.strip()
