"""Rotation of keys, while the cloud runs: what uses them looks at the directory each time.

What was sealed with credential keys has to outlive them, so it is sealed anew before the oldest is dropped. A rotation may be
killed anywhere: until the last of it is sealed with the newest key nothing is dropped, and the next one begins from there.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import sqlalchemy as sa

from ..kernel.config import Config
from ..kernel.db import Database, Row, Tx
from . import epoch, keys
from .credentials import credentials
from .domain_config import SENSITIVE, domain_options
from .fernet import BadToken, Repository

BATCH = 200
"""Rows sealed anew in one transaction: others write in between."""


HOLD = sa.text("LOCK TABLE identity_epoch, identity_credentials, identity_domain_options IN SHARE ROW EXCLUSIVE MODE")
"""On PostgreSQL: who writes there waits for the batch. Side by side, the longer transaction would be the one to lose, each time."""


class Unreadable(Exception):
    """Something is sealed with a key that is not there; the text says what and what to do."""


class Column(t.NamedTuple):
    """What is sealed with credential keys: a column, of the rows that are meant."""

    column: sa.Column[str]
    rows: sa.ColumnElement[bool] = sa.true()


SEALED = (
    Column(credentials.c.sealed_blob),
    Column(domain_options.c.value, sa.tuple_(domain_options.c.group, domain_options.c.option).in_(list(SENSITIVE))),
)


def rotate_token_keys(config: Config) -> int:
    """Seal new tokens with the staged key; its number from now on. Raises NoKeys."""
    repository = keys.token_keys(config)
    repository.rotate()
    return repository.primary


def rotate_signing_keys(config: Config) -> tuple[int, Path]:
    """Sign new tokens with the next key: its number, and where the public keys are. Raises NoKeys."""
    repository = keys.signing_keys(config)
    return repository.rotate(), repository.public


def rotate_credential_keys(config: Config, db: Database) -> tuple[int, int]:
    """Seal all that is sealed, and what will be, with the staged key: its number from now on, and how many rows there were
    to seal anew. Raises NoKeys, and Unreadable, after which no key was dropped."""
    repository = keys.credential_keys(config)
    with repository.turn():
        repository.promote()
        done = sum(_seal_anew(db, repository, one) for one in SEALED)
        repository.drop()
    return repository.primary, done


def _seal_anew(db: Database, repository: Repository, what: Column) -> int:
    done, after = 0, None
    while True:
        changed, after = db.transact(lambda tx, after=after: _batch(tx, db.embedded, repository, what, after))
        done += changed
        if after is None:
            return done


def _batch(tx: Tx, embedded: bool, repository: Repository, what: Column, after: tuple | None) -> tuple[int, tuple | None]:
    """Seal the rows behind `after` anew; how many were not yet, and the last one's key where there may be more.

    Whoever seals has looked at the epoch in the same transaction. One that began with the old key and commits after this
    is taken back for that, and seals with the new one.
    """
    if not embedded:
        tx.execute(HOLD)
    epoch.bump(tx)
    table, place = what.column.table, list(what.column.table.primary_key.columns)
    beyond = sa.true() if after is None else sa.tuple_(*place) > sa.tuple_(*after)
    rows = tx.all(sa.select(*place, what.column.label("sealed")).where(what.rows, beyond).order_by(*place).limit(BATCH))
    changed = 0
    for row in rows:
        renewed = _renewed(repository, table, row)
        if renewed != row.sealed:
            where = [column == value for column, value in zip(place, row, strict=False)]
            tx.execute(sa.update(table).where(*where).values({what.column.name: renewed}))
            changed += 1
    return changed, tuple(rows[-1])[:-1] if len(rows) == BATCH else None


def _renewed(repository: Repository, table: sa.FromClause, row: Row) -> str:
    try:
        return repository.renewed(row.sealed)
    except BadToken:
        raise Unreadable(
            f"{table.description} {'/'.join(tuple(row)[:-1])} is sealed with a key that is not in {repository.directory}: put that key "
            "back from a backup, or delete the row. No key was dropped, and the rest may be run again."
        ) from None
