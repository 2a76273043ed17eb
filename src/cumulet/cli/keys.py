"""Rotating the keys of a cloud's identity service, whether it runs or not."""

from __future__ import annotations

import contextlib
import typing as t

import click

from ..identity import rotation
from ..identity.fernet import NoKeys
from ..kernel.config import Config
from ..kernel.db import Database
from ..kernel.privilege import drop
from ..run.migrate import current, head
from . import Failure
from .database import used


def rotate_token_keys(config: Config) -> None:
    """Seal tokens with the next key."""
    with _as_control(used(config)) as config:
        number = rotation.rotate_token_keys(config)
    click.echo(f"Tokens are sealed with key {number} from now on. Other hosts of this cloud need the keys before the next rotation.")


def rotate_credential_keys(config: Config) -> None:
    """Seal stored credentials, and new ones, with the next key. Raises Failure for a database of another version."""
    config = used(config)
    db = Database(config.database_url)  # loads its driver, which the user that this becomes may not be able to read
    with _as_control(config), contextlib.closing(db):
        if (found := current(config.database_url)) != head():
            raise Failure(f"The database is at revision {found or 'none'}, this version's is {head()}: run `cumulet db migrate` first.")
        number, rows = rotation.rotate_credential_keys(config, db)
    click.echo(f"Credentials are sealed with key {number} from now on; {rows} were sealed anew.")


def rotate_signing_keys(config: Config) -> None:
    """Sign tokens with the next key."""
    with _as_control(used(config)) as config:
        number, public = rotation.rotate_signing_keys(config)
    click.echo(f"Tokens are signed with key {number} from now on. Whoever checks them needs {public} before the next rotation.")


@contextlib.contextmanager
def _as_control(config: Config) -> t.Iterator[Config]:
    """Be the user that the control plane runs as, whose the keys are. Raises Failure."""
    drop(config.user)
    try:
        yield config
    except (NoKeys, rotation.Unreadable) as error:
        raise Failure(f"{str(error)[0].upper()}{str(error)[1:]}") from None
