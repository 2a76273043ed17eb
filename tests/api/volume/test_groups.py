"""Groups of volumes, their types and their snapshots."""

from __future__ import annotations

import time

import pytest

from api.volume.volume_calls import status

V = {"version": "volume 3.25"}


@pytest.fixture
def kind(admin) -> str:
    return admin.post("/group_types", {"group_type": {"name": "g"}}, **V).json()["group_type"]["id"]


@pytest.fixture
def group(me, kind) -> str:
    body = {"group": {"name": "n", "group_type": kind, "volume_types": ["__DEFAULT__"]}}
    return me.post("/groups", body, **V).json()["group"]["id"]


def settled(cloud, caller, path, wanted):
    """Until something has a status; None: until it is gone."""
    end = time.monotonic() + 10
    while True:
        cloud.settle()
        answer = caller.get(path, **V)
        found = next(iter(answer.json().values()))["status"] if answer.status_code == 200 else None
        if found == wanted:
            return
        assert time.monotonic() < end, f"{path} is {found}, not {wanted}"


def test_group_types(me, admin, kind):
    assert admin.post("/group_types", {"group_type": {"name": "g"}}, **V).status_code == 409
    assert me.post("/group_types", {"group_type": {"name": "h"}}, **V).status_code == 403
    assert "group_specs" not in me.get(f"/group_types/{kind}", **V).json()["group_type"]
    assert admin.put(f"/group_types/{kind}", {"group_type": {"name": "h", "description": "d"}}, **V).json()["group_type"]["name"] == "h"
    path = f"/group_types/{kind}/group_specs"
    assert admin.post(path, {"group_specs": {"a": "b", "c": "d"}}, **V).json() == {"group_specs": {"a": "b", "c": "d"}}
    assert admin.put(f"{path}/a", {"a": "e"}, **V).json() == admin.get(f"{path}/a", **V).json() == {"a": "e"}
    assert admin.delete(f"{path}/a", **V).status_code == 202
    assert admin.get(f"{path}/a", **V).status_code == 404
    assert admin.get(path, **V).json() == {"group_specs": {"c": "d"}}
    assert [row["name"] for row in me.get("/group_types", **V).json()["group_types"]] == ["h"]
    assert me.get("/group_types").status_code == 404
    assert me.get("/group_types/default", **V).status_code == 404
    assert admin.delete(f"/group_types/{kind}", **V).status_code == 202


def test_a_group_and_its_volumes(cloud, me, other, admin, kind, group):
    volume = make_volume_in(cloud, me, group)
    assert me.get(f"/groups/{group}?list_volume=True", **V).json()["group"]["volumes"] == [volume]
    assert me.delete(f"/volumes/{volume}").status_code == 400
    assert admin.delete(f"/group_types/{kind}", **V).status_code == 400
    assert me.put(f"/groups/{group}", {"group": {"remove_volumes": volume, "name": "new"}}, **V).status_code == 202
    assert me.get(f"/volumes/{volume}", **V).json()["volume"]["group_id"] is None
    assert me.put(f"/groups/{group}", {"group": {"add_volumes": volume}}, **V).status_code == 202
    assert me.put(f"/groups/{group}", {"group": {}}, **V).status_code == 400
    assert me.put(f"/groups/{group}", {"group": {"remove_volumes": "x"}}, **V).status_code == 400
    assert [g["name"] for g in me.get("/groups/detail", **V).json()["groups"]] == ["new"]
    assert other.get(f"/groups/{group}", **V).status_code == 404
    assert me.post(f"/groups/{group}/action", {"delete": {}}, **V).status_code == 400
    assert me.post(f"/groups/{group}/action", {"delete": {"delete-volumes": True}}, **V).status_code == 202
    settled(cloud, me, f"/groups/{group}", None)
    assert me.get(f"/volumes/{volume}").status_code == 404


def test_snapshots_and_copies(cloud, me, admin, group):
    volume = make_volume_in(cloud, me, group)
    taken = me.post("/group_snapshots", {"group_snapshot": {"group_id": group, "name": "s"}}, **V).json()["group_snapshot"]["id"]
    settled(cloud, me, f"/group_snapshots/{taken}", "available")
    [snapshot] = me.get("/snapshots/detail", **V).json()["snapshots"]
    assert (snapshot["group_snapshot_id"], snapshot["status"], snapshot["volume_id"]) == (taken, "available", volume)
    assert me.delete(f"/snapshots/{snapshot['id']}").status_code == 400
    for source in ({"source_group_id": group}, {"group_snapshot_id": taken}):
        copy = me.post("/groups/action", {"create-from-src": {"name": "copy", **source}}, **V).json()["group"]["id"]
        settled(cloud, me, f"/groups/{copy}", "available")
        [inside] = me.get(f"/groups/{copy}?list_volume=True", **V).json()["group"]["volumes"]
        assert status(me, inside) == "available"
    assert me.post("/groups/action", {"create-from-src": {}}, **V).status_code == 400
    assert admin.post(f"/group_snapshots/{taken}/action", {"reset_status": {"status": "error"}}, **V).status_code == 202
    assert me.delete(f"/group_snapshots/{taken}", **V).status_code == 202
    settled(cloud, me, f"/group_snapshots/{taken}", None)
    assert me.get("/snapshots").json()["snapshots"] == []


def make_volume_in(cloud, me, group):
    id = me.post("/volumes", {"volume": {"size": 1, "group_id": group}}, **V).json()["volume"]["id"]
    cloud.settle()
    assert status(me, id) == "available"
    return id


def test_an_empty_group(me, admin, group):
    assert me.post("/group_snapshots", {"group_snapshot": {"group_id": group}}, **V).status_code == 400
    assert admin.post(f"/groups/{group}/action", {"reset_status": {"status": "error"}}, **V).status_code == 202
    assert me.get(f"/groups/{group}", **V).json()["group"]["status"] == "error"
    assert me.put(f"/groups/{group}", {"group": {"name": "x"}}, **V).status_code == 400
