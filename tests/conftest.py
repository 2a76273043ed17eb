"""Fixtures that every suite uses."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from cumulet.kernel import log

log.configure("error")

POSTGRESQL = os.environ.get("CUMULET_TEST_POSTGRESQL")
DATABASES = ["sqlite", *(["postgresql"] if POSTGRESQL else [])]


@pytest.fixture(scope="session", params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """A database of each kind that the run has, this test process' own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('db')}/cloud.db"
    assert POSTGRESQL
    name = f"test_{worker_id}"
    engine = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        quoted = engine.dialect.identifier_preparer.quote(name)
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {quoted}"))
        connection.execute(sa.text(f"CREATE DATABASE {quoted}"))
    engine.dispose()
    return str(sa.make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False))
