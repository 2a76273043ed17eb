from __future__ import annotations

import pytest

from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud
from world import World


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), services.load("compute"))
    yield made
    made.close()


@pytest.fixture
def me(cloud: Cloud):
    return cloud.caller("/compute/v2.1")


@pytest.fixture
def world(database_url: str, tmp_path):
    """A cloud with one simulated host."""
    made = World(database_url, str(tmp_path))
    yield made
    made.close()
