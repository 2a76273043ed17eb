from __future__ import annotations

import pytest

from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), services.load("placement"))
    yield made
    made.close()


@pytest.fixture
def api(cloud: Cloud):
    """An administrator, at the newest microversion unless they say otherwise."""
    caller = cloud.caller("/placement", "admin")
    return lambda method, path, json=None, at="1.39": caller(method, path, json, version=f"placement {at}")


@pytest.fixture
def provider(api):
    """Make a provider with inventories (class -> total), traits and aggregates; its id."""

    def make(name: str, inventories: dict | None = None, *, parent: str | None = None, traits=(), aggregates=()) -> str:
        made = api("POST", "/resource_providers", {"name": name, "parent_provider_uuid": parent})
        assert made.status_code == 200, made.text
        id, at = made.json()["uuid"], 0
        for path, body in (
            ("inventories", {"inventories": {c: i if isinstance(i, dict) else {"total": i} for c, i in (inventories or {}).items()}}),
            ("traits", {"traits": list(traits)}),
            ("aggregates", {"aggregates": list(aggregates)}),
        ):
            if next(iter(body.values())):
                answer = api("PUT", f"/resource_providers/{id}/{path}", body | {"resource_provider_generation": at})
                assert answer.status_code == 200, answer.text
                at += 1
        return id

    return make
