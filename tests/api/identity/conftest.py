from __future__ import annotations

import pytest

from cumulet.kernel.testing.cloud import Caller
from logins import Identity


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Identity(database_url, str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def admin(cloud: Identity) -> Caller:
    return cloud.login("admin", cloud.ADMIN, scope="admin")


@pytest.fixture
def demo(cloud: Identity) -> Caller:
    return cloud.login("demo", cloud.DEMO, scope="demo")
