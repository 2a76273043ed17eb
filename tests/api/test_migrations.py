"""The migrations make what the services declare, on both databases, and a newer database is refused."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import cumulet.run.seed  # noqa: F401  (its table is nobody's else)
from cumulet.kernel import services
from cumulet.kernel.db import metadata
from cumulet.kernel.db.engine import create_engine
from cumulet.run.control import SERVICES
from cumulet.run.migrate import NewerDatabase, configuration, current, head, upgrade


@pytest.fixture
def empty(database_url: str) -> str:
    engine = create_engine(database_url)
    found = sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    return database_url


def test_migrations_make_the_declared_tables(empty):
    services.load(*SERVICES)
    upgrade(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == [], "add a migration: see CONTRIBUTING.md"
    engine.dispose()
    assert current(empty) == head()
    upgrade(empty)


def test_a_newer_database_is_refused(empty):
    services.load(*SERVICES)
    upgrade(empty)
    engine = create_engine(empty)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(NewerDatabase, match="upgrade Cumulet"):
        upgrade(empty)


def test_a_database_of_the_first_version_keeps_what_is_in_it(empty):
    services.load(*SERVICES)
    command.upgrade(configuration(empty), "0001")
    old, now = sa.MetaData(), dt.datetime(2026, 1, 1)
    engine = create_engine(empty)
    old.reflect(engine)
    volume = {"id": "v", "created_at": now, "project_id": "p", "user_id": "u", "size": 1, "status": "in-use", "availability_zone": "nova",
              "bootable": False, "multiattach": False, "metadata": {}, "admin_metadata": {}, "image_metadata": {}}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(old.tables["volumes"].insert(), volume)
    engine.dispose()
    upgrade(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:
        assert connection.execute(sa.select(metadata.tables["volumes"].c.status)).scalars().all() == ["in-use"]
    engine.dispose()
