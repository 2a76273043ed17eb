"""Snapshots."""

from __future__ import annotations

from api.volume.test_actions import SERVER
from api.volume.volume_calls import act, make_snapshot, make_volume, status


def test_a_snapshot_from_its_making_to_its_end(cloud, me, store):
    volume = make_volume(cloud, me, size=2)
    made = me.post("/snapshots", {"snapshot": {"volume_id": volume, "name": "été", "description": "d", "metadata": {"a": "b"}}})
    assert made.status_code == 202
    snapshot = made.json()["snapshot"]
    assert set(snapshot) == {"id", "name", "description", "volume_id", "status", "size", "metadata", "created_at", "updated_at"}
    cloud.settle()
    shown = me.get(f"/snapshots/{snapshot['id']}").json()["snapshot"]
    assert (shown["status"], shown["size"], shown["os-extended-snapshot-attributes:progress"]) == ("available", 2, "100%")
    assert store.holds()["snapshots"] == [snapshot["id"]]
    assert me.put(f"/snapshots/{snapshot['id']}", {"snapshot": {"description": "new"}}).json()["snapshot"]["description"] == "new"
    assert me.put(f"/snapshots/{snapshot['id']}", {"snapshot": {}}).status_code == 400
    assert me.delete(f"/snapshots/{snapshot['id']}").status_code == 202
    cloud.settle()
    assert me.get(f"/snapshots/{snapshot['id']}").status_code == 404
    assert store.holds()["snapshots"] == []


def test_of_a_volume_in_use(cloud, me):
    volume = make_volume(cloud, me)
    act(me, volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    assert me.post("/snapshots", {"snapshot": {"volume_id": volume}}).status_code == 400
    assert me.post("/snapshots", {"snapshot": {"volume_id": volume, "force": True}}).status_code == 202
    assert me.post("/snapshots", {"snapshot": {"volume_id": volume}}, version="volume 3.66").status_code == 202
    assert me.post("/snapshots", {"snapshot": {"volume_id": volume, "force": False}}, version="volume 3.66").status_code == 400


def test_a_failed_snapshot_can_be_deleted(cloud, me, store):
    volume = make_volume(cloud, me)
    store.fail("snapshot after")
    id = me.post("/snapshots", {"snapshot": {"volume_id": volume}}).json()["snapshot"]["id"]
    cloud.settle()
    assert me.get(f"/snapshots/{id}").json()["snapshot"]["status"] == "error"
    assert store.holds()["snapshots"] == []
    store.fail()
    me.delete(f"/snapshots/{id}")
    cloud.settle()
    assert me.get(f"/snapshots/{id}").status_code == 404


def test_a_snapshot_that_is_being_restored_is_kept(cloud, me):
    volume = make_volume(cloud, me)
    snapshot = make_snapshot(cloud, me, volume)
    assert act(me, volume, "revert", {"snapshot_id": snapshot}, version="volume 3.40").status_code == 202
    refused = me.delete(f"/snapshots/{snapshot}")
    assert refused.status_code == 400 and "restoring" in refused.json()["badRequest"]["message"]
    cloud.settle()
    assert status(me, volume) == "available" and me.delete(f"/snapshots/{snapshot}").status_code == 202


def test_a_failed_snapshot_says_why(cloud, me, store):
    volume = make_volume(cloud, me)
    store.fail("snapshot before")
    id = me.post("/snapshots", {"snapshot": {"volume_id": volume}}).json()["snapshot"]["id"]
    cloud.settle()
    [message] = me.get(f"/messages?resource_uuid={id}", version="volume 3.5").json()["messages"]
    assert (message["resource_type"], message["event_id"]) == ("VOLUME_SNAPSHOT", "VOLUME_SNAPSHOT_008_001")
    assert "as the recipe says" in message["user_message"]


def test_statuses_that_administrators_and_owners_set(cloud, me, admin):
    id = make_snapshot(cloud, me, make_volume(cloud, me))
    path = f"/snapshots/{id}/action"
    assert me.post(path, {"os-update_snapshot_status": {"status": "error"}}).status_code == 400
    assert me.post(path, {"os-reset_status": {"status": "creating"}}).status_code == 403
    assert admin.post(path, {"os-reset_status": {"status": "creating"}}).status_code == 202
    assert me.post(path, {"os-update_snapshot_status": {"status": "error", "progress": "80%"}}).status_code == 202
    shown = me.get(f"/snapshots/{id}").json()["snapshot"]
    assert (shown["status"], shown["os-extended-snapshot-attributes:progress"]) == ("error", "80%")
    assert admin.post(path, {"os-force_delete": {}}).status_code == 202
    cloud.settle()
    assert me.get(f"/snapshots/{id}").status_code == 404


def test_listing_and_other_projects(cloud, me, other):
    volume = make_volume(cloud, me)
    ids = [make_snapshot(cloud, me, volume, name=name) for name in ("b", "a")]
    assert [s["name"] for s in me.get("/snapshots?sort=name:asc&limit=1").json()["snapshots"]] == ["a"]
    assert [s["id"] for s in me.get(f"/snapshots/detail?volume_id={volume}&name=b").json()["snapshots"]] == ids[:1]
    assert other.get("/snapshots").json()["snapshots"] == []
    assert other.get(f"/snapshots/{ids[0]}").status_code == other.delete(f"/snapshots/{ids[0]}").status_code == 404
    assert other.post("/snapshots", {"snapshot": {"volume_id": volume}}).status_code == 404
    assert me.get("/snapshots?limit=x").status_code == 400 and me.get("/snapshots?marker=x").status_code == 404


def test_quota(cloud, me, admin):
    volume = make_volume(cloud, me)
    admin.put("/os-quota-sets/p1", {"quota_set": {"snapshots": 0}})
    over = me.post("/snapshots", {"snapshot": {"volume_id": volume}})
    assert over.status_code == 413
    assert over.json()["overLimit"]["message"] == "SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded"
