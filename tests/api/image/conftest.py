from __future__ import annotations

import pytest

from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), services.load("image"))
    yield made
    made.close()


@pytest.fixture
def me(cloud: Cloud):
    return cloud.caller("/image/v2")


@pytest.fixture
def other(cloud: Cloud):
    return cloud.caller("/image/v2", project="p2", user="u2")


@pytest.fixture
def admin(cloud: Cloud):
    return cloud.caller("/image/v2", "admin", project="admin", user="admin")


@pytest.fixture
def image(me) -> str:
    return me.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare", "os": "x"}).json()["id"]


@pytest.fixture
def reader(cloud: Cloud):
    return cloud.caller("/image/v2", "reader")
