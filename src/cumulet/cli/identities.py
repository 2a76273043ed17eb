"""Looking after identity without its API: making what an administrator needs to get in."""

from __future__ import annotations

import os
import sys

import click
import sqlalchemy as sa

from .. import identity
from ..kernel import services
from ..kernel.config import Config
from ..kernel.db import Database
from ..kernel.privilege import give
from ..run.control import SERVICES
from ..run.layout import Layout
from ..run.migrate import check, head
from . import Failure
from .database import existing, used

PASSWORD = "OS_BOOTSTRAP_PASSWORD"
LONGEST = 4096


def bootstrap(config: Config, first: identity.First, password_file: str | None) -> None:
    """Make whatever is not there of an administrator, their project and roles, and the catalog of identity."""
    password = _password(password_file)
    config = used(config)
    existing(sa.make_url(config.database_url))
    if check(config.database_url) != head():
        raise Failure(f"The database is not at this version's schema: run `cumulet db migrate --data {config.root}` first.")
    services.load(*SERVICES)
    layout, db = Layout(config.root), Database(config.database_url)
    try:
        layout.prepare(config.user)
        identity.bootstrap_first(db, config, first, password)
        give(layout.control, config.user)
    finally:
        db.close()
    click.echo(f"{first.username} is there, with the role {first.role} on the project {first.project} and on the system.")


def _password(file: str | None) -> str:
    """From a file, from standard input, or from the environment: arguments are for everybody to see."""
    if file is None:
        password = os.environ.get(PASSWORD, "")
    elif file == "-":
        password = sys.stdin.readline().rstrip("\n")
    else:
        with open(file) as opened:
            password = opened.readline().rstrip("\n")
    if not password:
        raise Failure(f"There is no password: put it in {PASSWORD}, or name a file with --bootstrap-password-file (-: standard input).")
    if len(password) > LONGEST:
        raise Failure(f"The password is longer than {LONGEST} characters.")
    return password
