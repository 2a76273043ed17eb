"""Looking after the database: migrating, backing up, restoring."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import click
import sqlalchemy as sa

from ..kernel import services
from ..kernel.config import Config
from ..kernel.privilege import give
from ..run import StartError
from ..run.control import SERVICES
from ..run.layout import Layout
from ..run.migrate import check, current, head, upgrade
from ..run.state import hold, running
from . import Failure
from .cloud import in_force


def migrate(config: Config) -> None:
    """Bring the database to the newest schema."""
    config = used(config)
    services.load(*SERVICES)
    Layout(config.root).prepare(config.user)
    before = current(config.database_url)
    upgrade(config.database_url)
    give(Layout(config.root).control, config.user)
    click.echo(f"The database is at revision {head()}" + (" already." if before == head() else f"; it was {before or 'empty'}."))


def backup(config: Config, file: Path) -> None:
    """Write a consistent copy: SQLite's own backup, or pg_dump's custom format."""
    url = sa.make_url(used(config).database_url)
    existing(url)
    if url.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(f"file:{url.database}?mode=ro", uri=True)) as source, closing(_private(file)) as target:
            source.backup(target)
    else:
        _postgres(["pg_dump", "--format=custom", "--file", str(file)], url)
    click.echo(f"Wrote {file} ({file.stat().st_size >> 10} KiB).")


def restore(config: Config, file: Path) -> None:
    """Put a backup in the place of what is there, which is kept beside it on SQLite."""
    layout = Layout(config.root)
    if running(layout):
        raise Failure(f"The cloud is up: stop it first with `cumulet down --data {layout.root}`.")
    url = sa.make_url(used(config).database_url)
    layout.prepare(config.user)
    lock = hold(layout)
    if url.get_backend_name() == "sqlite":
        _restore_sqlite(Path(str(url.database)), file)
        give(layout.control, config.user)
    else:
        _postgres(["pg_restore", "--clean", "--if-exists", "--exit-on-error", str(file)], url)
    os.close(lock)
    click.echo(f"Restored {file}; start the cloud with `cumulet up --data {layout.root}`.")


def _restore_sqlite(database: Path, file: Path) -> None:
    """Put a copy of the file in the database's place, in one step; what was there stays beside it."""
    fresh = database.with_suffix(".restored")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source, closing(_private(fresh)) as target:
            source.backup(target)
            sound = target.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        sound, why = False, str(error)
    else:
        why = "its integrity check failed"
    if not sound:
        fresh.unlink(missing_ok=True)
        raise Failure(f"{file} is no sound SQLite database ({why}); nothing was changed.")
    try:
        check(f"sqlite:///{fresh}")
    except StartError:
        fresh.unlink()
        raise
    if database.exists():
        with closing(sqlite3.connect(database)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.replace(database.with_suffix(".before-restore"))
    for left in ("-wal", "-shm"):
        Path(str(database) + left).unlink(missing_ok=True)
    fresh.replace(database)


def used(config: Config) -> Config:
    """The settings with the database that the cloud runs with, if it does."""
    layout = Layout(config.root)
    return in_force(config, layout) if running(layout) else config


def _private(file: Path) -> sqlite3.Connection:
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return sqlite3.connect(file)


def existing(url: sa.URL) -> None:
    """Raises Failure where the file of an embedded database is not there: to connect would make an empty one."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise Failure(f"There is no database {url.database}; name the cloud's directory with --data.")


def _postgres(argv: list[str], url: sa.URL) -> None:
    """Run one of PostgreSQL's tools. The password goes by the environment: arguments are for everybody to see."""
    if shutil.which(argv[0]) is None:
        raise Failure(f"{argv[0]} is not installed: apt-get install postgresql-client")
    environment = os.environ | {"PGPASSWORD": url.password or ""}
    where = ["--host", url.host or "", "--port", str(url.port or 5432), "--username", url.username or "", "--dbname", url.database or ""]
    done = subprocess.run([*argv, *where], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{argv[0]}: {done.stderr.strip()}")
