from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.image_cache.origin import DATA, Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(DATA)
    yield made
    made.end()
