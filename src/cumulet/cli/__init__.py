"""The `cumulet` command: bringing a cloud up and looking after it. Users keep the `openstack` command."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import click

from ..kernel.config import Config, ConfigError, load


class Failure(click.ClickException):
    """An error for the person at the terminal: a sentence that names the remedy."""


def configured(data: str | None, **flags: t.Any) -> Config:
    """The settings in force for a command. Raises Failure."""
    from ..run.layout import Layout, default_data

    root = Path(data) if data else default_data()
    try:
        return load(Layout(root).settings, data=str(root.resolve()), **flags)
    except ConfigError as error:
        raise Failure(str(error)) from None


DATA = click.option("--data", metavar="DIR", envvar="CUMULET_DATA", help="The cloud's directory.")
LISTEN = click.option("--listen", metavar="HOST:PORT", help="Where the APIs listen.")
DATABASE = click.option("--database", metavar="URL", help="PostgreSQL instead of the embedded SQLite.")
BUS = click.option("--bus", metavar="URL", help="RabbitMQ (amqp://...) instead of local sockets.")
HYPERVISOR = click.option("--hypervisor", type=click.Choice(["qemu", "simulated"]), help="What runs guests.")
NETWORK = click.option("--network", type=click.Choice(["linux", "simulated"]), help="What makes networks.")
HOSTS = click.option("--hosts", type=click.IntRange(1), metavar="N", help="Number of simulated compute hosts.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cumulet")
def main() -> None:
    """A whole OpenStack-compatible cloud."""


@main.command()
@DATA
@LISTEN
@click.option("--detach", is_flag=True, help="Leave the cloud running in the background.")
@HYPERVISOR
@NETWORK
@HOSTS
@DATABASE
@BUS
def up(data: str | None, detach: bool, **flags: t.Any) -> None:
    """Start a cloud on this machine."""
    from . import cloud as command

    command.up(configured(data, **flags), detach)


@main.command()
@DATA
def down(data: str | None) -> None:
    """Stop a cloud. Its guests, networks and data stay for the next `up`, unless --data is removed."""
    from . import cloud as command

    command.down(configured(data))


@main.command()
@DATA
def status(data: str | None) -> None:
    """Say what runs."""
    from . import cloud as command

    sys.exit(command.status(configured(data)))


@main.command()
@DATA
def doctor(data: str | None) -> None:
    """Check the machine and the cloud: for each thing wrong, a sentence and a command."""
    from . import diagnosis as command

    sys.exit(command.doctor(configured(data)))


@main.command()
@DATA
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.argument("process", required=False, type=click.Choice(["control", "agent", "supervisor"]))
def logs(data: str | None, follow: bool, process: str | None) -> None:
    """Show the cloud's logs."""
    from . import cloud as command

    command.logs(configured(data), follow, process)


@main.command()
@DATA
@LISTEN
@DATABASE
@BUS
@click.option("--roles", default="api,worker", show_default=True, help="Comma-separated: api, worker.")
@click.option("--fd", type=int, hidden=True)
def serve(data: str | None, roles: str, fd: int | None, **flags: t.Any) -> None:
    """Run a control process in the foreground."""
    from . import processes as command

    command.serve(configured(data, **flags), frozenset(roles.split(",")), fd)


@main.command()
@DATA
@HYPERVISOR
@NETWORK
@HOSTS
@BUS
def agent(data: str | None, **flags: t.Any) -> None:
    """Run this machine's agent in the foreground, as root."""
    from . import processes as command

    command.agent(configured(data, **flags))


@main.group()
def db() -> None:
    """Look after the database."""


@db.command()
@DATA
@DATABASE
def migrate(data: str | None, **flags: t.Any) -> None:
    """Bring the database to this version's schema."""
    from . import database as command

    command.migrate(configured(data, **flags))


@db.command()
@DATA
@DATABASE
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(data: str | None, file: Path, **flags: t.Any) -> None:
    """Write the database to a file, while the cloud runs."""
    from . import database as command

    command.backup(configured(data, **flags), file)


@db.command()
@DATA
@DATABASE
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(data: str | None, file: Path, **flags: t.Any) -> None:
    """Put a backup in the database's place; the cloud must be down."""
    from . import database as command

    command.restore(configured(data, **flags), file)
