"""Fixtures of the compute driver tests."""

from __future__ import annotations

import pytest

from ceph_server import readable_ceph, running_ceph  # noqa: F401


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
