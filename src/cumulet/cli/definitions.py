"""`image metadefs`: metadata definitions from files and to files, without the API."""

from __future__ import annotations

import contextlib
import re
import typing as t
from pathlib import Path

import click
import sqlalchemy as sa

from .. import image
from ..kernel import services
from ..kernel.config import Config
from ..kernel.db import Database, Tx
from ..kernel.errors import ApiError
from ..run.control import SERVICES
from ..run.migrate import check, head
from . import Failure
from .database import existing, used


def load(config: Config, directory: Path) -> None:
    """Load the definitions of every file, all of them or none."""
    outcomes = []
    with _transaction(config, write=True) as tx:
        for file in _files(directory):
            with _named(file):
                outcomes.append(image.load_namespace(tx, image.parse_namespace(file.read_bytes())))
    told = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in ("new", "changed", "unchanged"))
    click.echo(f"{len(outcomes)} namespaces are there: {told}.")


def unload(config: Config, directory: Path) -> None:
    """Delete the namespaces of every file."""
    gone = 0
    with _transaction(config, write=True) as tx:
        for file in _files(directory):
            with _named(file):
                gone += image.unload_namespace(tx, image.parse_namespace(file.read_bytes()))
    click.echo(f"{gone} namespaces were deleted.")


def export(config: Config, directory: Path) -> None:
    """Write every namespace to a file that is named after it."""
    with _transaction(config, write=False) as tx:
        found = image.exported_namespaces(tx)
    directory.mkdir(parents=True, exist_ok=True)
    names: set[str] = set()
    for namespace, text in found.items():
        name = re.sub(r"[^A-Za-z0-9]+", "-", namespace).strip("-").lower() or "namespace"
        while name in names:
            name += "-"
        names.add(name)
        (directory / f"{name}.json").write_bytes(text)
    click.echo(f"Wrote {len(found)} namespaces to {directory}.")


# -- helpers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _transaction(config: Config, *, write: bool) -> t.Iterator[Tx]:
    """One transaction on the cloud's database. Raises Failure where that is not there, or of another version."""
    config = used(config)
    existing(sa.make_url(config.database_url))
    if check(config.database_url) != head():
        raise Failure(f"The database is not at this version's schema: run `cumulet db migrate --data {config.root}` first.")
    services.load(*SERVICES)
    db = Database(config.database_url)
    try:
        with db.begin(write=write) as tx:
            yield tx
    finally:
        db.close()


def _files(directory: Path) -> list[Path]:
    found = sorted(directory.glob("*.json"))
    if not found:
        raise Failure(f"There is no file {directory}/*.json.")
    return found


@contextlib.contextmanager
def _named(file: Path) -> t.Iterator[None]:
    """Have an error say which file it is about."""
    try:
        yield
    except ApiError as error:
        raise Failure(f"{file}: {error.message} Nothing was changed.") from None
