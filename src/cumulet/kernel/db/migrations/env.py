"""Alembic's entry point: every service's tables, on the database that the caller named."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from alembic import context
from sqlalchemy import event

from cumulet.kernel.db import metadata
from cumulet.kernel.db.engine import create_engine


def _plain(kind: str, item: object, _: object) -> str | t.Literal[False]:
    """A column type of a service's own is written down as what it is in the database: migrations import no service."""
    if kind == "type" and isinstance(item, sa.types.TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


def run() -> None:
    engine = create_engine(context.config.attributes["url"])
    if engine.dialect.name == "sqlite":  # a table that is changed is made anew there, and nothing is to follow the old one
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    with engine.begin() as connection:  # on SQLite too all steps happen or none
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(6782)"))  # two processes that start at once
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, render_item=_plain)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
