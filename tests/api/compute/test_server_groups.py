from __future__ import annotations

import types

import pytest
from compute_rows import add_server

from cumulet.compute import server_groups
from cumulet.kernel.errors import BadRequest, Forbidden

NEW = "compute 2.64"


def make(caller, policy: str = "affinity", version: str | None = None, **fields):
    how = {"policy": policy} if version == NEW else {"policies": [policy]}
    return caller.post("/os-server-groups", {"server_group": {"name": "g"} | how | fields}, version=version)


def join(cloud, caller, group: str, server):
    request = types.SimpleNamespace(context=caller.context)
    cloud.transact(lambda tx: server_groups.join_group(tx, request, server.id, group))


def affinity(cloud, server):
    return cloud.transact(lambda tx: server_groups.affinity(tx, server.id))


def test_forms_by_microversion(me):
    old = make(me).json()["server_group"]
    assert old == {"id": old["id"], "name": "g", "policies": ["affinity"], "metadata": {}, "members": []}
    new = make(me, "anti-affinity", NEW, rules={"max_server_per_host": "3"}).json()["server_group"]
    assert new == {
        "id": new["id"], "name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}, "members": [],
        "project_id": "p1", "user_id": "u1",
    }  # fmt: skip
    assert me.get(f"/os-server-groups/{new['id']}", version=NEW).json()["server_group"] == new
    assert me.get(f"/os-server-groups/{new['id']}", version="compute 2.13").json()["server_group"]["policies"] == ["anti-affinity"]


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ({"policies": []}, "2.1"), ({"policies": ["affinity", "affinity"]}, "2.1"), ({"policies": ["nope"]}, "2.1"), ({}, "2.1"), ({}, "2.64"),
        ({"policies": ["soft-affinity"]}, "2.14"), ({"policy": "affinity"}, "2.63"), ({"policies": ["affinity"]}, "2.64"),
        ({"policies": ["affinity"], "name": ""}, "2.1"), ({"policy": "affinity", "rules": {"max_server_per_host": 2}}, "2.64"),
        ({"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}, "2.64"), ({"policy": "anti-affinity", "rules": {"x": 0}}, "2.64"),
    ],
)  # fmt: skip
def test_a_bad_group_is_refused(me, body, version):
    assert me.post("/os-server-groups", {"server_group": {"name": "g"} | body}, version=f"compute {version}").status_code == 400


def test_groups_are_ones_own(cloud, me):
    id = make(me).json()["server_group"]["id"]
    other, admin = cloud.caller("/compute/v2.1", project="p2"), cloud.caller("/compute/v2.1", "admin", project="p3")
    assert other.get(f"/os-server-groups/{id}").status_code == 404 == other.delete(f"/os-server-groups/{id}").status_code
    assert other.get("/os-server-groups?all_projects=1").json() == {"server_groups": []} == admin.get("/os-server-groups").json()
    assert [g["id"] for g in admin.get("/os-server-groups?all_projects=1").json()["server_groups"]] == [id]
    assert (
        cloud.caller("/compute/v2.1", "reader")
        .post("/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}})
        .status_code
        == 403
    )
    assert me.delete(f"/os-server-groups/{id}").status_code == 204 and me.get(f"/os-server-groups/{id}").status_code == 404


def test_lists_have_limit_and_offset(me):
    made = [make(me, name=f"g{i}").json()["server_group"]["name"] for i in range(3)]
    names = lambda query: [g["name"] for g in me.get(f"/os-server-groups?{query}").json()["server_groups"]]
    assert names("") == made and names("limit=2") == made[:2] and names("limit=2&offset=2") == made[2:]
    assert me.get("/os-server-groups?offset=-1").status_code == 400 and me.get("/os-server-groups?limit=x").status_code == 400


def test_what_a_group_asks_of_the_next_host(cloud, me):
    together, apart = (
        make(me).json()["server_group"]["id"],
        make(me, "anti-affinity", NEW, rules={"max_server_per_host": 2}).json()["server_group"]["id"],
    )
    first, second, third, alone = (add_server(cloud, host=host) for host in ("h1", "h1", "h2", "h3"))
    new = add_server(cloud)
    join(cloud, me, together, first), join(cloud, me, together, new)
    assert affinity(cloud, new) == (frozenset({"h1"}), None) and affinity(cloud, first) == (frozenset(), None) == affinity(cloud, alone)
    for server in (second, third):
        join(cloud, me, apart, server)
    other = add_server(cloud)
    join(cloud, me, apart, other)
    assert affinity(cloud, other) == (frozenset(), {"h1": 1, "h2": 1})
    assert set(me.get(f"/os-server-groups/{together}").json()["server_group"]["members"]) == {first.id, new.id}
    assert cloud.transact(lambda tx: server_groups.groups_of(tx, new.id)) == [together]
    cloud.transact(lambda tx: server_groups.leave_group(tx, new.id))
    first.remove()
    assert me.get(f"/os-server-groups/{together}").json()["server_group"]["members"] == []


def test_a_group_is_joined_only_while_there_is_room_and_by_its_project(cloud, me):
    id = make(me).json()["server_group"]["id"]
    admin = cloud.caller("/compute/v2.1", "admin")
    admin.put("/os-quota-sets/p1", {"quota_set": {"server_group_members": 1}})
    join(cloud, me, id, add_server(cloud))
    with pytest.raises(Forbidden, match="it may have 1"):
        join(cloud, me, id, add_server(cloud))
    for who, group in ((me, "nope"), (cloud.caller("/compute/v2.1", project="p2"), id)):
        with pytest.raises(BadRequest, match="could not be found"):
            join(cloud, who, group, add_server(cloud))
