"""Volumes from their creation to their end."""

from __future__ import annotations

from api.volume.volume_calls import make_snapshot, make_volume, status


def test_a_volume_is_made_and_deleted(cloud, me, store):
    made = me.post("/volumes", {"volume": {"size": 1, "name": "été", "metadata": {"a": "b"}}})
    assert made.status_code == 202
    volume = made.json()["volume"]
    assert volume["status"] == "creating" and volume["volume_type"] == "__DEFAULT__"
    cloud.settle()
    shown = me.get(f"/volumes/{volume['id']}").json()["volume"]
    assert (shown["status"], shown["name"], shown["size"], shown["bootable"], shown["metadata"]) == (
        "available",
        "été",
        1,
        "false",
        {"a": "b"},
    )
    assert store.holds()["volumes"] == [volume["id"]]
    assert me.delete(f"/volumes/{volume['id']}").status_code == 202
    cloud.settle()
    assert me.get(f"/volumes/{volume['id']}").status_code == 404
    assert store.holds()["volumes"] == []


def test_deleting_while_creating_wins(cloud, me, store):
    id = me.post("/volumes", {"volume": {"size": 1}}).json()["volume"]["id"]
    assert me.delete(f"/volumes/{id}").status_code == 202
    cloud.settle()
    assert me.get(f"/volumes/{id}").status_code == 404
    assert store.holds()["volumes"] == []


def test_a_failed_creation_says_why(cloud, me, store):
    store.fail("create before")
    id = me.post("/volumes", {"volume": {"size": 1}}).json()["volume"]["id"]
    cloud.settle()
    assert status(me, id) == "error"
    messages = me.get("/messages", version="volume 3.3").json()["messages"]
    assert [m["resource_uuid"] for m in messages] == [id]
    assert "as the recipe says" in messages[0]["user_message"]
    store.fail()
    assert me.delete(f"/volumes/{id}").status_code == 202
    cloud.settle()
    assert me.get(f"/volumes/{id}").status_code == 404


def test_a_volume_that_no_host_can_keep(cloud, me):
    me.cloud.transact(lambda tx: None)
    answer = me.post("/volumes", {"volume": {"size": 900}})
    assert answer.status_code == 202
    assert status(me, answer.json()["volume"]["id"]) == "error"
    [message] = me.get("/messages", version="volume 3.3").json()["messages"]
    assert "store-1 has 100 GiB free" in message["user_message"]


def test_from_a_snapshot_and_from_a_volume(cloud, me):
    volume = make_volume(cloud, me, size=2)
    snapshot = make_snapshot(cloud, me, volume)
    for source in ({"snapshot_id": snapshot}, {"source_volid": volume}):
        made = me.post("/volumes", {"volume": source}).json()["volume"]
        assert made["size"] == 2
        cloud.settle()
        assert status(me, made["id"]) == "available"
        small = me.post("/volumes", {"volume": source | {"size": 1}})
        assert small.status_code == 400 and "2GB" in small.json()["badRequest"]["message"]


def test_what_a_volume_cannot_be_made_of(me):
    unknown = "00000000-0000-0000-0000-000000000001"
    for body, code in (
        ({}, 400), ({"size": 0}, 400), ({"size": -1}, 400), ({"size": "x"}, 400), ({"size": 2**40}, 400), ({"size": 1, "nonsense": 1}, 400),
        ({"size": 1, "name": "a\0b"}, 400), ({"size": 1, "snapshot_id": unknown}, 404), ({"size": 1, "source_volid": unknown}, 404),
        ({"size": 1, "volume_type": unknown}, 404), ({"size": 1, "imageRef": unknown}, 400), ({"size": 1, "availability_zone": "mars"}, 400),
        ({"size": 1, "multiattach": True}, 400), ({"snapshot_id": unknown, "source_volid": unknown}, 400),
    ):  # fmt: skip
        assert me.post("/volumes", {"volume": body}).status_code == code, body


def test_volumes_of_another_project_are_not_there(cloud, me, other, admin):
    id = make_volume(cloud, me)
    for call in (other.get(f"/volumes/{id}"), other.delete(f"/volumes/{id}"), other.put(f"/volumes/{id}", {"volume": {"name": "x"}}),
                 other.post(f"/volumes/{id}/action", {"os-reserve": {}}), other.get(f"/volumes/{id}/metadata")):  # fmt: skip
        assert call.status_code == 404
    assert other.get("/volumes").json()["volumes"] == []
    assert [v["id"] for v in admin.get("/volumes/detail?all_tenants=1").json()["volumes"]] == [id]
    assert admin.get(f"/volumes/{id}").json()["volume"]["os-vol-host-attr:host"] == "store-1@cumulet#cumulet"


def test_readers_only_read(cloud, me):
    id = make_volume(cloud, me)
    reader = cloud.caller("/volume/v3", "reader")
    assert reader.get(f"/volumes/{id}").status_code == 200
    assert reader.delete(f"/volumes/{id}").status_code == 403
    assert reader.post("/volumes", {"volume": {"size": 1}}).status_code == 403


def test_listing(cloud, me):
    ids = {name: make_volume(cloud, me, name=name, metadata={"k": name}) for name in ("b", "a", "c")}
    names = lambda query: [v["name"] for v in me.get(f"/volumes?{query}").json()["volumes"]]
    assert names("") == ["c", "a", "b"]
    assert names("sort=name:asc") == ["a", "b", "c"]
    assert names("sort_key=name&sort_dir=desc&limit=2") == ["c", "b"]
    assert names(f"sort=name:asc&marker={ids['a']}") == ["b", "c"]
    assert names("name=a") == names("display_name=a") == names("metadata={'k':'a'}") == ["a"]
    assert names("status=available&bootable=false&offset=1&limit=1") == ["a"]
    assert names("status=error") == names("limit=0") == []
    first = me.get("/volumes/detail?limit=2").json()
    assert len(first["volumes"]) == 2 and first["volumes_links"][0]["rel"] == "next"
    assert me.get("/volumes?with_count=true", version="volume 3.45").json()["count"] == 3
    for bad in ("limit=-1", "limit=x", "sort=nonsense", "sort=name:up", "metadata=x"):
        assert me.get(f"/volumes?{bad}").status_code == 400, bad
    assert me.get("/volumes/summary", version="volume 3.36").json()["volume-summary"] == {
        "total_size": 3, "total_count": 3, "metadata": {"k": ["a", "b", "c"]}}  # fmt: skip


def test_renaming(cloud, me):
    id = make_volume(cloud, me)
    assert me.put(f"/volumes/{id}", {"volume": {"name": "new", "description": None}}).json()["volume"]["name"] == "new"
    both = {"name": "new", "display_name": "old", "description": None, "display_description": "old"}
    assert me.put(f"/volumes/{id}", {"volume": both}).json()["volume"]["name"] == "new"
    assert me.get(f"/volumes/{id}").json()["volume"]["description"] is None
    assert me.put(f"/volumes/{id}", {"volume": {}}).status_code == 400
    assert me.put(f"/volumes/{id}", {"volume": {"name": "x" * 256}}).status_code == 400


def test_metadata_key_by_key(cloud, me):
    id = make_volume(cloud, me)
    path = f"/volumes/{id}/metadata"
    assert me.post(path, {"metadata": {"a": "1", "b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert me.put(path, {"metadata": {"c": "3"}}).json() == {"metadata": {"c": "3"}}
    assert me.put(f"{path}/c", {"meta": {"c": "4"}}).json() == {"meta": {"c": "4"}}
    assert me.put(f"{path}/c", {"meta": {"d": "4"}}).status_code == 400
    assert me.get(f"{path}/c").json() == {"meta": {"c": "4"}}
    assert me.delete(f"{path}/c").status_code == 200
    assert me.delete(f"{path}/c").status_code == me.get(f"{path}/c").status_code == 404
    assert me.get(path).json() == {"metadata": {}}
    for bad in ({"metadata": {"x": 1}}, {"metadata": {"": "x"}}, {"metadata": {"x": "y" * 256}}, {"metadata": []}, {}):
        assert me.post(path, bad).status_code == 400, bad


def test_deleting_with_snapshots(cloud, me, store):
    id = make_volume(cloud, me)
    make_snapshot(cloud, me, id)
    refused = me.delete(f"/volumes/{id}")
    assert refused.status_code == 400 and "snapshots" in refused.json()["badRequest"]["message"]
    assert me.delete(f"/volumes/{id}?cascade=True").status_code == 202
    cloud.settle()
    assert me.get("/snapshots").json()["snapshots"] == me.get("/volumes").json()["volumes"] == []
    assert store.holds() == {"volumes": [], "snapshots": []}


def test_quota(cloud, me, admin):
    admin.put("/os-quota-sets/p1", {"quota_set": {"volumes": 1, "gigabytes": 2, "per_volume_gigabytes": 2}})
    too_big = me.post("/volumes", {"volume": {"size": 3}})
    assert too_big.status_code == 413 and "maximum allowed limit 2G" in too_big.json()["overLimit"]["message"]
    make_volume(cloud, me)
    over = me.post("/volumes", {"volume": {"size": 1}})
    assert over.status_code == 413
    assert over.json()["overLimit"]["message"] == "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota 'volumes'."
    admin.put("/os-quota-sets/p1", {"quota_set": {"volumes": 5}})
    over = me.post("/volumes", {"volume": {"size": 2}})
    assert "Requested 2G, quota is 2G and 1G has been consumed." in over.json()["overLimit"]["message"]


def test_a_creation_that_fails_after_its_effect_leaves_nothing(cloud, me, store):
    store.fail("create after")
    id = me.post("/volumes", {"volume": {"size": 1}}).json()["volume"]["id"]
    cloud.settle()
    assert status(me, id) == "error"
    assert store.holds()["volumes"] == []


def test_an_undo_that_fails_is_tried_again(cloud, me, store):
    store.fail("create after", "delete before")
    id = me.post("/volumes", {"volume": {"size": 1}}).json()["volume"]["id"]
    cloud.settle()
    assert status(me, id) == "error"
    assert store.holds()["volumes"] == [id]
    store.fail()
    assert me.delete(f"/volumes/{id}").status_code == 202
    cloud.settle()
    assert me.get(f"/volumes/{id}").status_code == 404
    assert store.holds()["volumes"] == []


def test_what_is_made_belongs_to_a_project(cloud, me, admin):
    """An administrator's token may be for no project."""
    snapshot = make_snapshot(cloud, me, make_volume(cloud, me))
    kind = admin.post("/group_types", {"group_type": {"name": "g"}}, version="volume 3.71").json()["group_type"]["id"]
    nobody = cloud.caller("/volume/v3", "admin", project=None, system=True)
    for path, body in (
        ("/volumes", {"volume": {"size": 1}}), ("/volumes", {"volume": {"snapshot_id": snapshot}}),
        ("/groups", {"group": {"group_type": kind, "volume_types": ["__DEFAULT__"]}}),
    ):  # fmt: skip
        refused = nobody.post(path, body, version="volume 3.71")
        assert refused.status_code == 400 and "for no project" in refused.json()["badRequest"]["message"], path
    assert nobody.get("/volumes").json()["volumes"] == [] and len(nobody.get("/volumes?all_tenants=1").json()["volumes"]) == 1
