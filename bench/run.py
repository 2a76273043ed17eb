"""Measure Cumulet: `python bench/run.py [--guest IMAGE] [SCENARIO ...]`, as root. See README.md beside this file."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import report
import sandbox
import scenarios

ORDER = ["startup", "idle", "guests", "servers", "throughput"]


def main(names: list[str], guest: Path) -> int:
    """Run the scenarios one after another; 1 where one could not be measured or a target was missed."""
    measured, broken = [], []
    for name in names:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        try:
            figures = importlib.import_module(f"scenarios.{name}").run(guest)
        except Exception as error:
            print(f"   not measured: {type(error).__name__}: {error}", flush=True)
            broken.append(name)
            continue
        measured += figures
        print(f"   {time.monotonic() - began:.0f} s, {report.write(name, figures).relative_to(report.ROOT)}", flush=True)
    print("\n" + report.table(measured))
    return int(bool(broken) or any(figure.verdict == "MISSED" for figure in measured))


def arguments() -> argparse.Namespace:
    known = [module.name for module in pkgutil.iter_modules(scenarios.__path__)]
    parser = argparse.ArgumentParser(description="Measure Cumulet; results go to bench/results.")
    parser.add_argument("--guest", type=Path, default=report.ROOT / "build" / "guest.qcow2", help="the guest image")
    parser.add_argument("scenario", nargs="*", choices=[*known, []], help="which to run; default all")
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    try:
        sys.exit(sandbox.run_inside(lambda: main(asked.scenario or ORDER, asked.guest.resolve())))
    except OSError as error:
        sys.exit(f"bench: {error.strerror}")
