"""Bringing a database to this version's schema: one linear Alembic history for all services."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ..kernel import db as kernel_db

MIGRATIONS = Path(kernel_db.__file__).parent / "migrations"


class NewerDatabase(Exception):
    """The database was made by a newer version; the text says so and what to do."""


def head() -> str:
    """The newest revision that this version has, by its file's name."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(url: str) -> str | None:
    """The revision of a database; None for an empty one."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """Migrate to the newest schema; at once where it is that already. Raises NewerDatabase."""
    found, newest = current(url), head()
    if found == newest:
        return
    if found is not None and found > newest:
        raise NewerDatabase(f"The database has revision {found}, this version of Cumulet knows up to {newest}: upgrade Cumulet.")
    from alembic import command

    command.upgrade(configuration(url), "head")


def configuration(url: str):
    """Alembic's own configuration, for a database."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["url"] = url
    return made
