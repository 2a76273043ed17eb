"""`down`: stopping a cloud's processes, and where asked, taking the cloud off the machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import click

from ..kernel.config import Config
from ..run.layout import Layout
from ..run.state import hold, running
from . import Failure
from .cloud import in_force

PATIENCE = 40.0


def down(config: Config, purge: bool, yes: bool) -> None:
    """Stop the cloud's processes; its guests go on running, unless it is to be purged."""
    layout = Layout(config.root)
    if purge and not layout.version.exists():
        raise Failure(f"There is no cloud in {layout.root}.")
    if purge and not yes:
        _confirm(layout)
    _stop(layout)
    if purge:
        _purge(in_force(config, layout), layout)
        return
    if guests := _guests(layout):
        plural = "guests go" if guests > 1 else "guest goes"
        click.echo(f"{guests} {plural} on running. To have them looked after again: cumulet up --data {layout.root}")
        click.echo(f"To end them and remove the cloud: cumulet down --purge --data {layout.root}")


def _stop(layout: Layout) -> None:
    state = running(layout)
    if not state:
        click.echo(f"No cloud runs in {layout.root}.")
        return
    os.kill(state.supervisor, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while running(layout):
        if time.monotonic() > end:
            raise Failure(f"Process {state.supervisor} has not ended within {PATIENCE:g} s; see {layout.log}/supervisor.log.")
        time.sleep(0.02)
    click.echo("The cloud is down.")


def _confirm(layout: Layout) -> None:
    if not sys.stdin.isatty():
        raise Failure(f"This deletes the guests, images, volumes and database of the cloud in {layout.root}: add --yes to do so.")
    click.confirm(f"Delete the guests, images, volumes and database of the cloud in {layout.root}?", abort=True)


def _purge(config: Config, layout: Layout) -> None:
    from ..run import purge

    layout.prepare(config.user)
    os.close(hold(layout))
    ended = asyncio.run(purge.remove_guests_and_networks(config, layout))
    left = purge.remove_files(config, layout)
    click.echo(f"Ended {ended} guests; removed the networks and the data of the cloud in {layout.root}.")
    if left:
        click.echo(f"{layout.root} stays, for there are files that are not the cloud's: {', '.join(left)}")
    if config.database:
        click.echo("The PostgreSQL database stays; remove it with dropdb.")


def _guests(layout: Layout) -> int:
    """How many guests run in the directory's care."""
    from ..compute.drivers.qemu.launch import find

    return sum(len(find(servers)) for servers in layout.agent.glob("*/compute/servers"))
