"""Lists of servers: whose, and from when."""

from __future__ import annotations

import pytest

EARLY, LATE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


@pytest.fixture
def listed(world):
    """Lists servers by a query; their names, or the status of a refusal."""
    for name in ("a", "b"):
        world.boot(name=name, networks="none", version="compute 2.37")

    def ask(query: str, by=None, version: str = "compute 2.90"):
        answer = (by or world.me).get(f"/servers?{query}", version=version)
        return {one["name"] for one in answer.json()["servers"]} if answer.status_code == 200 else answer.status_code

    return ask


def test_by_when_they_changed(listed):
    assert listed(f"changes-since={EARLY}") == listed(f"changes-before={LATE}") == listed(f"changes-since={EARLY}&changes-before={LATE}")
    assert listed(f"changes-since={LATE}") == listed(f"changes-before={EARLY}") == set()
    assert listed(f"changes-before={EARLY}", version="compute 2.65") == {"a", "b"}, "there is none before 2.66"
    assert listed(f"changes-since={LATE}&changes-before={EARLY}") == 400
    for odd in ("x", "", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2020-13-01"):
        assert listed(f"changes-since={odd}") in (400, {"a", "b"}), odd


def test_whose_they_are(world, listed):
    admin = world.caller("/compute/v2.1", "admin", project="other")
    assert listed("tenant_id=p1", admin) == listed("all_tenants=1", admin) == listed("all_tenants=1&project_id=p1", admin) == {"a", "b"}
    assert listed("", admin) == listed("project_id=p1", admin) == listed("tenant_id=p1&all_tenants=0", admin) == set()
    assert listed("tenant_id=other") == {"a", "b"}, "who is no administrator sees their own"
    assert listed("all_tenants=1") == 403
