"""`logs`: what the processes wrote, as a person reads it."""

from __future__ import annotations

import heapq
import json
import time
import typing as t
from pathlib import Path

import click

from ..kernel.config import Config
from ..run.layout import Layout
from . import Failure

LOOK = 0.3
"""Seconds between looks at logs that are followed."""
COLOURS = {"debug": "cyan", "warning": "yellow", "error": "red"}


def logs(config: Config, follow: bool, lines: int, process: str | None) -> None:
    """Print the last lines of the processes' logs, and go on where they are followed."""
    layout = Layout(config.root)
    files = [Tail(path) for path in sorted(layout.log.glob(f"{process or '*'}.log"))]
    if not files:
        raise Failure(f"There are no logs in {layout.log}.")
    past = list(heapq.merge(*(file.read() for file in files)))
    for _, name, line in past[len(past) - min(lines, len(past)) :]:
        click.echo(rendered(name, line))
    while follow:
        time.sleep(LOOK)
        for _, name, line in heapq.merge(*(file.read() for file in files)):
            click.echo(rendered(name, line))


class Tail:
    """A log that grows, and is begun anew once it is long."""

    def __init__(self, path: Path):
        self._path, self._at, self._moment = path, 0, ""

    def read(self) -> list[tuple[str, str, str]]:
        """What is new: moment, process, line. A line that tells no moment is of the one before."""
        if self._path.stat().st_size < self._at:
            self._at = 0
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        self._at += len(whole) + (1 if whole else 0)
        return [self._dated(line) for line in whole.decode(errors="replace").split("\n") if line]

    def _dated(self, line: str) -> tuple[str, str, str]:
        self._moment = _fields(line).get("timestamp", self._moment)
        return self._moment, self._path.stem, line


def rendered(process: str, line: str) -> str:
    """A line as a person reads it; one that is not structured stays as it is."""
    fields = _fields(line)
    if not fields:
        return f"{process:10} {line}"
    moment, level, event = (fields.pop(name, "") for name in ("timestamp", "level", "event"))
    trace = fields.pop("exception", "")
    rest = " ".join(f"{name}={value}" for name, value in fields.items() if name != "logger")
    head = f"{moment[11:23].rstrip('Z'):12} {process:10} {click.style(f'{level:8}', fg=COLOURS.get(level))}{event}"
    return "\n".join([f"{head}  {rest}".rstrip(), *(f"    {text}" for text in trace.splitlines())])


def _fields(line: str) -> dict[str, t.Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
