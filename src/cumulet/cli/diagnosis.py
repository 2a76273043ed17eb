"""`doctor`: what is wrong with this machine or this cloud, a sentence and a command each."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..kernel.config import Config
from ..run import StartError, public
from ..run.layout import Layout, LayoutError
from ..run.needs import Finding, missing
from ..run.state import running
from .cloud import in_force
from .listening import answers, ask, listen, said

ROOM_GIB = 2


def doctor(config: Config) -> int:
    """Print what was found; 0 where nothing keeps the cloud from working."""
    layout = Layout(config.root)
    if running(layout):
        config = in_force(config, layout)
    findings = [*missing(config), *_machine(layout), *_engines(config), *_cloud(config, layout)]
    for finding in findings:
        click.echo(f"{finding.sentence}\n    {finding.command}")
    if not findings:
        click.echo("Nothing is wrong.")
    return 1 if any(finding.grave for finding in findings) else 0


def _machine(layout: Layout) -> t.Iterator[Finding]:
    existing = next(p for p in (layout.root, *layout.root.parents) if p.exists())
    if (free := shutil.disk_usage(existing).free / 2**30) < ROOM_GIB:
        yield Finding(f"{existing} has {free:.1f} GiB free: images, disks and the database need room.", f"df -h {existing}")
    for kept in layout.agent.glob("*/compute/accelerator.json"):
        found = json.loads(kept.read_text())
        if found["name"] == "tcg" and Path("/dev/kvm").exists():
            mended = f"rm {kept} && cumulet down --data {layout.root} && cumulet up --detach --data {layout.root}   # once it is mended"
            yield Finding(f"Guests are slow: {' '.join(found['reason'].split())}.", mended, grave=False)
    for path in (layout.clouds, layout.openrc, layout.settings):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(f"{path} has passwords and can be read by others.", f"chmod 600 {path}", grave=False)


def _engines(config: Config) -> t.Iterator[Finding]:
    """PostgreSQL and RabbitMQ, where the cloud uses them."""
    for what, url, port in (("The database", config.database, 5432), ("The message server", config.bus, 5672)):
        parts = urlsplit(url)
        if not parts.hostname:
            continue
        try:
            socket.create_connection((parts.hostname, parts.port or port), 3).close()
        except OSError as error:
            where = f"{parts.hostname} {parts.port or port}"
            yield Finding(f"{what} at {where.replace(' ', ':')} cannot be reached: {error.strerror or error}.", f"nc -vz {where}")


def _cloud(config: Config, layout: Layout) -> t.Iterator[Finding]:
    try:
        layout.check()
    except LayoutError as error:
        yield Finding(str(error), "cumulet doctor --data DIR")
        return
    if (wrong := public.overlap(config, layout)) is not None:
        yield Finding(wrong, "ip route   # then set public_network in cumulet.toml of a new cloud, or remove the other route")
    state = running(layout)
    if state is None:
        yield from _down(config, layout)
        return
    for name, child in state.children.items():
        if child.pid is None:
            yield Finding(f"The {name} process ends again and again.", f"cumulet logs {name} --data {layout.root}")
    yield from _running(config, layout)


def _down(config: Config, layout: Layout) -> t.Iterator[Finding]:
    yield Finding(f"No cloud runs in {layout.root}.", f"cumulet up --data {layout.root} --detach")
    try:
        listen(config).close()
    except StartError as error:
        yield Finding(str(error), f"ss -ltnp 'sport = :{config.listen.rpartition(':')[2]}'")


def _running(config: Config, layout: Layout) -> t.Iterator[Finding]:
    if not answers(config):
        yield Finding(f"The APIs do not answer at {config.url}.", f"cumulet logs control --data {layout.root}")
        return
    ready = ask(config, "/readyz")
    if ready and ready.status != 200:
        yield Finding(said(ready), f"cumulet logs agent --data {layout.root}")
    metrics = ask(config, "/metrics")
    for kind, count in re.findall(r'^cumulet_alerts_total\{kind="(\w+)"\} ([0-9.]+)', metrics.body if metrics else "", re.MULTILINE):
        sentence = f"Work could not be taken back {float(count):g} times ({kind}); it is tried again."
        yield Finding(sentence, f"cumulet logs control --data {layout.root} | grep 'will retry'", grave=False)
