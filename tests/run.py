"""Run the suites: `fast` is unit, api and parity on SQLite; `all` adds PostgreSQL, RabbitMQ, faults, real guests and networks.

The code is checked first (`make lint`); what fails there is told, and the tests run all the same.

Usage: python tests/run.py fast|all [more pytest arguments]
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from cumulet.kernel.testing.engines import postgresql, rabbitmq

ROOT = Path(__file__).parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=8"]
LINT = ["make", "--no-print-directory", "--old-file=setup", "lint"]
"""The checks are listed in the Makefile only; what runs this is set up already."""

PROCESSES = "tests/fault/test_processes.py"
QUICK = ["tests/unit", "tests/api", "tests/parity"]
FAULTS = ["tests/fault", f"--ignore={PROCESSES}"]
SYSTEM = ["tests/system", PROCESSES]


def main(which: str, more: list[str]) -> int:
    if which == "fast":
        return suite("unit, api and parity", [*PYTEST, "-n", "2", *QUICK, *more])
    failed = suite("lint", LINT)
    with contextlib.ExitStack() as engines:
        both = {"CUMULET_TEST_POSTGRESQL": engines.enter_context(postgresql()), "CUMULET_TEST_RABBITMQ": engines.enter_context(rabbitmq())}
        failed |= suite("unit, api, parity and faults, on both databases and buses", [*PYTEST, "-n", "2", *QUICK, *FAULTS, *more], both)
        failed |= suite("fuzz: a minute of schemathesis", [*PYTEST, "tests/fuzz", *more], {"CUMULET_FUZZ_SEED": "5"} | both)
    if os.getuid() == 0:
        failed |= suite("system: real guests, networks and processes", [*PYTEST, "-n", "2", "--dist", "loadfile", *SYSTEM, *more])
    else:
        print("The system suite needs root: it was left out.")
        failed = 1
    return failed


def suite(name: str, command: list[str], more: dict[str, str] | None = None) -> int:
    """Run one, with `more` in its environment unless that says otherwise; 1 where it failed."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=(more or {}) | os.environ)
    print(f"== {name}: {'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
