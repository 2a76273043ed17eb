"""Alembic's entry point: every service's tables, on the database that the caller named."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from cumulet.kernel.db import metadata


def run() -> None:
    engine = sa.create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(6782)"))  # two processes that start at once
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
