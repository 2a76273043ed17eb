"""The `cumulet` command: bringing a cloud up and looking after it. Users keep the `openstack` command."""

from __future__ import annotations

import errno
import os
import sys
import typing as t
from pathlib import Path

import click

from ..kernel.config import Config, ConfigError, load
from ..run import StartError

PROGRAMS = ":/usr/sbin:/sbin"
"""Where programs of the host are that are not on every user's path."""
REMEDIES = {
    errno.ENOSPC: "make room (df -h shows where) and try again",
    errno.EDQUOT: "the quota of this user is reached: make room and try again",
    errno.EACCES: "run as the user that the cloud was started by, or name another directory with --data",
    errno.EPERM: "run as the user that the cloud was started by",
    errno.EROFS: "name a directory that can be written with --data",
    errno.ENOTDIR: "name another directory with --data",
}


class Failure(click.ClickException):
    """An error for the person at the terminal: a sentence that names the remedy."""


class Commands(click.Group):
    """Commands that end with a sentence where something stands in their way that a person can mend."""

    def invoke(self, ctx: click.Context) -> t.Any:
        try:
            return super().invoke(ctx)
        except StartError as error:
            raise Failure(str(error)) from None
        except OSError as error:
            if error.errno not in REMEDIES:
                raise
            raise Failure(f"{error.filename or 'The cloud'}: {error.strerror}: {REMEDIES[error.errno]}.") from None


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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cumulet")
def main() -> None:
    """A whole OpenStack-compatible cloud."""
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + PROGRAMS


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
    """Start a cloud on this machine.

    Where it runs already, nothing is done. The first start of a directory keeps what the flags say in its cumulet.toml; at
    a later one, flags go before that file for as long as the cloud runs.
    """
    from . import cloud as command

    command.up(configured(data, **flags), {name for name, value in flags.items() if value is not None}, detach)


@main.command()
@DATA
@click.option("--purge", is_flag=True, help="End the guests too, and remove the cloud's networks and all its data.")
@click.option("--yes", is_flag=True, help="Do not ask before that.")
def down(data: str | None, purge: bool, yes: bool) -> None:
    """Stop a cloud's processes.

    Its guests go on running, its networks and data stay: `up` takes them all up again. With --purge nothing stays on this
    machine: guests are ended, bridges, namespaces and filter rules removed, and everything that the cloud keeps in its
    directory is deleted (images, volumes, the SQLite database, passwords, logs). Files that are not the cloud's are left
    there. A PostgreSQL database is not touched.
    """
    from . import ending as command

    command.down(configured(data), purge, yes)


@main.command()
@DATA
def status(data: str | None) -> None:
    """Say what runs: status 0 where all of it does, 1 where a part does not, 3 where nothing does."""
    from . import cloud as command

    sys.exit(command.status(configured(data)))


@main.command()
@DATA
def doctor(data: str | None) -> None:
    """Check the machine and the cloud: for each thing wrong, a sentence and a command.

    The status is 1 where something keeps the cloud from working.
    """
    from . import diagnosis as command

    sys.exit(command.doctor(configured(data)))


@main.command()
@DATA
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("-n", "--lines", type=click.IntRange(0), default=200, show_default=True, help="How many lines of the past.")
@click.argument("process", required=False, type=click.Choice(["control", "agent", "supervisor"]))
def logs(data: str | None, follow: bool, lines: int, process: str | None) -> None:
    """Show the cloud's logs, in order of time. As written (JSON, a line each) they are in DIR/log."""
    from . import reading as command

    command.logs(configured(data), follow, lines, process)


@main.command()
@DATA
@LISTEN
@DATABASE
@BUS
@click.option("--roles", default="api,worker", show_default=True, help="Comma-separated: api, worker.")
@click.option("--fd", type=int, hidden=True)
def serve(data: str | None, roles: str, fd: int | None, **flags: t.Any) -> None:
    """Run a control process in the foreground.

    Several can share a PostgreSQL database and a RabbitMQ server: each its own --data, with the keys of the first (those in
    DIR/control: fernet-keys, credential-keys, answers.key) copied to the others.
    """
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


@main.group("identity")
def identity_() -> None:
    """Look after identity, while the cloud runs or not."""


def _bootstrap(option: str, default: str | None, text: str) -> t.Callable:
    """An option that keystone-manage has too, with the variable that it reads there."""
    variable = f"OS_BOOTSTRAP_{option.upper().replace('-', '_')}"
    return click.option(
        f"--bootstrap-{option}", option.replace("-", "_"), default=default, show_default=True, envvar=variable, metavar="TEXT", help=text
    )


@identity_.command()
@DATA
@DATABASE
@_bootstrap("username", "admin", "Who runs the cloud.")
@click.option(
    "--bootstrap-password-file", "password_file", metavar="FILE", help="Their password's file; else it is $OS_BOOTSTRAP_PASSWORD."
)
@_bootstrap("project-name", "admin", "Their project.")
@_bootstrap("role-name", "admin", "Their role on it and on the system.")
@_bootstrap("service-name", "keystone", "What identity is called in the catalog.")
@_bootstrap("region-id", None, "The region of its endpoints; by default, that of the settings.")
@_bootstrap("public-url", None, "Where identity is found: its endpoints, of which those that are named are made.")
@_bootstrap("internal-url", None, "The same, for the cloud's own services.")
@_bootstrap("admin-url", None, "The same, for administrators.")
@click.option(
    "--immutable-roles/--no-immutable-roles", "immutable", default=True, help="Whether the roles that policy goes by can be changed."
)
def bootstrap(data: str | None, database: str | None, password_file: str | None, **told: t.Any) -> None:
    """Make what an administrator needs to get in, where it is not there.

    It may be run again, and several times at once. A user who is there has the password afterwards, and is enabled. The
    password is never an argument: others can see those.
    """
    from ..identity import First
    from . import identities as command

    config = configured(data, database=database)
    urls = {name: told[f"{name}_url"] for name in ("public", "internal", "admin") if told[f"{name}_url"]}
    first = First(
        told["username"], told["project_name"], told["role_name"], told["service_name"], told["region_id"] or config.region, urls,
        told["immutable"],
    )  # fmt: skip
    command.bootstrap(config, first, password_file)


@main.group("image")
def image_() -> None:
    """Look after images, while the cloud runs or not."""


@image_.group()
def metadefs() -> None:
    """Metadata definitions: which properties images, flavors and volumes may be given, and what they mean.

    They are files of JSON, a namespace in each, as the Image API's own project publishes them in etc/metadefs.
    """


DEFINITIONS = click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))


@metadefs.command("load")
@DATA
@DATABASE
@DEFINITIONS
def load_metadefs(data: str | None, database: str | None, directory: Path) -> None:
    """Have the cloud know the definitions in the files DIR/*.json: all of them, or none where one of them is wrong.

    A namespace that is there becomes what its file says, and keeps what it has besides. It may be done again at any time.
    """
    from . import definitions as command

    command.load(configured(data, database=database), directory)


@metadefs.command("unload")
@DATA
@DATABASE
@DEFINITIONS
def unload_metadefs(data: str | None, database: str | None, directory: Path) -> None:
    """Delete the namespaces in the files DIR/*.json, with all that they have, be they protected."""
    from . import definitions as command

    command.unload(configured(data, database=database), directory)


@metadefs.command("export")
@DATA
@DATABASE
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def export_metadefs(data: str | None, database: str | None, directory: Path) -> None:
    """Write every namespace to a file of its own in DIR, which is made, as `load` takes them."""
    from . import definitions as command

    command.export(configured(data, database=database), directory)


@main.group()
def policy() -> None:
    """Look into who may do what."""


@policy.command()
@DATA
@DATABASE
@click.option("--user-domain", metavar="NAME", default="default", show_default=True, help="The user's domain, by id or name.")
@click.option("--project", metavar="NAME", help="With a token for this project, by id or name.")
@click.option("--project-domain", metavar="NAME", default="default", show_default=True, help="The project's domain.")
@click.option("--domain", metavar="NAME", help="With a token for this domain.")
@click.option("--system", is_flag=True, help="With a token for the system.")
@click.argument("user")
@click.argument("rule")
@click.argument("target", nargs=-1)
def explain(
    data: str | None, database: str | None, user: str, user_domain: str, rule: str, target: tuple[str, ...], **scope: t.Any
) -> None:
    """Say whether a rule lets a user do something, and which clause decides.

    TARGET is what it is to be done to: names and values as the rule has them (target.user.domain_id=default), or as the path
    of an operation has them (user_id=ID), or the ID alone where the path has one; none is the caller's own. The status is 0
    where it is allowed, 3 where it is not.
    """
    from . import policies as command

    if sum(map(bool, (scope["project"], scope["domain"], scope["system"]))) > 1:
        raise Failure("A token is for one of --project, --domain and --system.")
    sys.exit(command.explained(configured(data, database=database), user, user_domain, rule, target, scope))


@identity_.group()
def fernet() -> None:
    """The keys that tokens are sealed with."""


@fernet.command("rotate")
@DATA
def rotate_fernet(data: str | None) -> None:
    """Seal tokens with the next key.

    Running processes take it up at once. Tokens outlive one rotation and end with the second: rotate no more often than
    tokens last. Where several hosts serve one cloud, copy DIR/control/fernet-keys to the others before the next rotation.
    """
    from . import keys as command

    command.rotate_token_keys(configured(data))


@identity_.group()
def credential() -> None:
    """The keys that stored credentials are sealed with."""


@credential.command("rotate")
@DATA
@DATABASE
def rotate_credential(data: str | None, **flags: t.Any) -> None:
    """Seal all stored credentials with the next key.

    It may be killed and run again at any time, and run twice at once: no key is dropped before everything is sealed with
    the newest.
    """
    from . import keys as command

    command.rotate_credential_keys(configured(data, **flags))


@identity_.group()
def jws() -> None:
    """The keys that tokens are signed with, where `token_provider` is jws."""


@jws.command("rotate")
@DATA
def rotate_jws(data: str | None) -> None:
    """Sign tokens with the next key.

    Its public part has been in DIR/control/jws-keys/public since the rotation before; that of the key before stays there.
    So tokens outlive one rotation and end with the second.
    """
    from . import keys as command

    command.rotate_signing_keys(configured(data))
