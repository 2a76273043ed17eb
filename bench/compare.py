"""Compare this checkout with another cloud that speaks the same APIs, in one run on one machine:

    OS_AUTH_URL=http://controller:5000/v3 OS_USERNAME=admin OS_PASSWORD=... python bench/compare.py identity

The other cloud runs already; a user and a project of its default domain, as the usual variables name them, administer it.
What a comparison makes there is in a domain of its own, and removed at the end. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import load
import report
from cloud import LISTEN, SIMULATED, exchange, running
from report import Figure

COMPARISONS = ["identity", "image"]
ROUNDS = 3
"""How often each measurement is made, both clouds in turn; the medians are compared."""


class Side(t.NamedTuple):
    """One of two clouds: `address` is host:port, `base` the path of its identity API, `login` the body that gets a token."""

    name: str
    address: str
    base: str
    login: dict

    def token(self, login: dict | None = None) -> str:
        _, headers = exchange("POST", f"{self.base}/auth/tokens", login or self.login, at=self.address)
        return headers["X-Subject-Token"]

    def call(self, token: str, method: str, path: str, body: t.Any = None) -> t.Any:
        """A request of the identity API; its answer's JSON. Raises Refused."""
        return exchange(method, self.base + path, body, {"X-Auth-Token": token}, self.address)[0]


class Comparison(t.NamedTuple):
    """One measurement: `measure` makes it on a side, in requests a second or, where `less` is better, in milliseconds."""

    name: str
    measure: t.Callable[[Side], float]
    goal: float | None = None
    less: bool = False


def compare(sides: list[Side], wanted: list[Comparison]) -> list[Figure]:
    """Measure each on both sides in turn; how many times better the first one is. A goal that was missed is told, no more."""
    figures = []
    for one in wanted:
        found: dict[str, list[float]] = {side.name: [] for side in sides}
        for _ in range(ROUNDS):
            for side in sides:
                found[side.name].append(one.measure(side))
        figures.append(ratio(one.name, found, "ms" if one.less else "1/s", one.less, one.goal))
    return figures


def ratio(name: str, found: dict[str, list[float]], unit: str, less: bool, goal: float | None, **details: t.Any) -> Figure:
    """How many times better the median of "ours" is than that of "theirs"; those of others, whom there may be, are in the details."""
    medians = {side: statistics.median(values) for side, values in found.items()}
    ours, theirs, *_ = medians.values()
    times = theirs / ours if less else ours / theirs
    print(f"   {name}: {' to '.join(f'{value:.4g}' for value in medians.values())} {unit}, {times:.2f} times", flush=True)
    return Figure(name, times, "times", None, {**medians, "unit": unit, "goal": goal, "rounds": found, **details})


def rate(side: Side, wanted: bytes, clients: int, seconds: float = 3.0, address: str | None = None) -> float:
    """Requests a second that a closed loop of clients gets answered at an address, which is that of the side's identity API where
    none is said. Raises RuntimeError where a request fails."""
    return checked(load.closed_loop(address or side.address, wanted, clients=clients, seconds=seconds)).per_second


def checked(found: load.Load) -> load.Load:
    if found.failed:
        raise RuntimeError(f"{len(found.failed)} of {len(found.answers)} requests failed: {set(found.failed)}")
    return found


def _theirs() -> Side:
    url, env = urlsplit(os.environ["OS_AUTH_URL"]), os.environ
    user = {"name": env.get("OS_USERNAME", "admin"), "domain": {"id": "default"}, "password": env["OS_PASSWORD"]}
    project = {"name": env.get("OS_PROJECT_NAME", "admin"), "domain": {"id": "default"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return Side("theirs", url.netloc, url.path.rstrip("/"), {"auth": {"identity": identity, "scope": {"project": project}}})


def main(names: list[str]) -> int:
    machine, theirs = report.machine(), _theirs()
    with running(Path("no guest"), *SIMULATED, "--hosts", "1") as cloud:
        sides = [Side("ours", LISTEN, "/identity/v3", cloud.credentials()), theirs]
        for name in names:
            print(f"== {name}", flush=True)
            began = time.monotonic()
            figures = importlib.import_module(f"comparisons.{name}").run(sides, compare)
            print(f"   {time.monotonic() - began:.0f} s, {report.write(f'compare-{name}', figures, machine).relative_to(report.ROOT)}")
            print(report.table(figures), flush=True)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare this checkout with another cloud; results go to bench/results.")
    parser.add_argument("comparison", nargs="*", choices=COMPARISONS, default=COMPARISONS)
    sys.exit(main(parser.parse_args().comparison))
