"""Measure Cumulet: `python bench/run.py [--guest IMAGE] [SCENARIO ...]`, as root. See README.md beside this file."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import report
import sandbox

SCENARIOS = ["startup", "idle", "guests", "servers", "throughput", "identity_scale", "image_scale"]


def main(names: list[str], guest: Path) -> int:
    """Run the scenarios one after another; 1 where one could not be measured. A target that was missed is told, no more."""
    measured, broken = [], 0
    machine = report.machine()
    for name in names:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        try:
            figures = importlib.import_module(f"scenarios.{name}").run(guest)
        except Exception as error:
            print(f"   not measured: {type(error).__name__}: {error}", flush=True)
            broken = 1
            continue
        measured += figures
        print(f"   {time.monotonic() - began:.0f} s, {report.write(name, figures, machine).relative_to(report.ROOT)}", flush=True)
    print("\n" + report.table(measured))
    return broken


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Cumulet; results go to bench/results.")
    parser.add_argument("--guest", type=Path, default=report.ROOT / "build" / "guest.qcow2", help="the guest image")
    parser.add_argument("scenario", nargs="*", help=f"which of {', '.join(SCENARIOS)}; default all")
    asked = parser.parse_args()
    if unknown := set(asked.scenario) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    return asked


if __name__ == "__main__":
    asked = arguments()
    try:
        sys.exit(sandbox.run_inside(lambda: main(asked.scenario or SCENARIOS, asked.guest.resolve())))
    except OSError as error:
        sys.exit(f"bench: {error.strerror}")
