"""Many clients at once that all want the same rows: everybody gets what they asked for, and no more than there is."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from world import World


@pytest.fixture
def world(database_url: str, tmp_path):
    made = World(database_url, str(tmp_path), hosts=2)
    yield made
    made.close()


def test_servers_of_one_project_asked_for_at_once(world: World):
    """Their usage, hosts and addresses are all the same rows."""
    limit, asked = 30, 40
    quota = {"instances": limit, "cores": -1, "ram": -1}
    assert world.admin.put("/os-quota-sets/p1", {"quota_set": quota}).status_code == 200
    server = {"name": "s", "flavorRef": world.flavor(), "imageRef": world.image(), "networks": [{"uuid": world.network()}]}

    def ask(_: int) -> int:
        return world.me.post("/servers", {"server": server}).status_code

    with ThreadPoolExecutor(16) as clients:
        said = Counter(clients.map(ask, range(asked)))
    assert said == {202: limit, 403: asked - limit}
    world.settle(60)
    made = world.me.get("/servers/detail").json()["servers"]
    assert Counter(one["status"] for one in made) == {"ACTIVE": limit}
    addresses = [entry["addr"] for one in made for entries in one["addresses"].values() for entry in entries]
    assert len(set(addresses)) == limit
