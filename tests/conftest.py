"""Fixtures that every suite uses."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cumulet.kernel import log

log.configure("error")
sys.path.insert(0, str(Path(__file__).parent))

DATABASES = ["sqlite", *(["postgresql"] if os.environ.get("CUMULET_TEST_POSTGRESQL") else [])]


@pytest.fixture(scope="session", params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind that the run has."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('db')}/cloud.db"
    return os.environ["CUMULET_TEST_POSTGRESQL"]
