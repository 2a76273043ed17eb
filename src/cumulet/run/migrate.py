"""Bringing a database to this version's schema: one linear Alembic history for all services."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from ..kernel import db as kernel_db
from . import StartError

MIGRATIONS = Path(kernel_db.__file__).parent / "migrations"


class NewerDatabase(StartError):
    """The database was made by a newer version; the text says so and what to do."""


def head() -> str:
    """The newest revision that this version has, by its file's name."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(url: str) -> str | None:
    """The revision of a database; None for an empty one. Raises StartError where it cannot be reached."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError as error:
        why = " ".join(str(error.orig).split())
        raise StartError(f"The database cannot be used: {why}. Check `database` in cumulet.toml, and `cumulet doctor`.") from None
    finally:
        engine.dispose()


def check(url: str) -> str | None:
    """The revision of a database that this version can use. Raises NewerDatabase."""
    found = current(url)
    if found is not None and found > head():
        raise NewerDatabase(
            f"The database has revision {found}, made by a newer Cumulet (this one knows up to {head()}): upgrade Cumulet, "
            "or put a backup back with `cumulet db restore FILE`."
        )
    return found


def upgrade(url: str) -> None:
    """Migrate to the newest schema; at once where it is that already. Raises NewerDatabase."""
    if check(url) == head():
        return
    from alembic import command

    command.upgrade(configuration(url), "head")


def configuration(url: str):
    """Alembic's own configuration, for a database."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["url"] = url
    return made
