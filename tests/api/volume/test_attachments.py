"""Attachments by their own API."""

from __future__ import annotations

from api.volume.test_actions import OTHER_SERVER, SERVER
from api.volume.volume_calls import make_volume, status

V = {"version": "volume 3.44"}
OLD = {"version": "volume 3.27"}


def test_from_reservation_to_end(cloud, me, other):
    id = make_volume(cloud, me)
    made = me.post("/attachments", {"attachment": {"volume_uuid": id, "instance_uuid": SERVER}}, **V).json()["attachment"]
    assert (made["status"], made["instance"], made["volume_id"], made["connection_info"]) == ("reserved", SERVER, id, {})
    assert status(me, id) == "reserved"
    path = f"/attachments/{made['id']}"
    connected = me.put(path, {"attachment": {"connector": {"host": "h", "mountpoint": "/dev/vdb"}}}, **V).json()["attachment"]
    assert (connected["status"], connected["connection_info"]["driver_volume_type"]) == ("attaching", "simulated")
    assert me.post(f"{path}/action", {"os-complete": {}}, **V).status_code == 204
    assert status(me, id) == "in-use"
    assert me.get(f"/volumes/{id}").json()["volume"]["attachments"][0]["device"] == "/dev/vdb"
    assert me.get(path, **V).json()["attachment"]["status"] == "attached"
    assert [a["id"] for a in me.get(f"/attachments?volume_id={id}", **V).json()["attachments"]] == [made["id"]]
    assert me.get("/attachments/detail", **V).json()["attachments"][0]["attach_mode"] == "rw"
    assert other.get(path, **V).status_code == other.delete(path, **V).status_code == 404
    assert me.delete(path, **V).json() == {"attachments": []}
    assert status(me, id) == "available"
    assert me.get(path, **V).status_code == 404


def test_with_a_connector_at_once(cloud, me):
    id = make_volume(cloud, me)
    body = {"attachment": {"volume_uuid": id, "instance_uuid": SERVER, "connector": {"host": "h"}}}
    assert me.post("/attachments", body, **OLD).json()["attachment"]["status"] == "attached"
    assert status(me, id) == "in-use"
    taken = me.post("/attachments", {"attachment": {"volume_uuid": id, "instance_uuid": OTHER_SERVER}}, **OLD)
    assert taken.status_code == 400 and "in-use" in taken.json()["badRequest"]["message"]


def test_a_connector_that_is_none_leaves_nothing(cloud, me, store):
    id = make_volume(cloud, me)
    body = {"attachment": {"volume_uuid": id, "instance_uuid": SERVER, "connector": {"ip": "1.2.3.4"}}}
    assert me.post("/attachments", body, **V).status_code == 400
    body["attachment"]["connector"] = {"host": "h"}
    store.fail("connection before")
    assert me.post("/attachments", body, **V).status_code == 400
    assert me.get("/attachments", **V).json()["attachments"] == []
    assert status(me, id) == "available"


def test_what_is_no_attachment(cloud, me, other):
    id = make_volume(cloud, me)
    unknown = {"volume_uuid": "00000000-0000-0000-0000-000000000001", "instance_uuid": SERVER}
    assert me.post("/attachments", {"attachment": unknown}, **V).status_code == 404
    assert other.post("/attachments", {"attachment": {"volume_uuid": id, "instance_uuid": SERVER}}, **V).status_code == 404
    assert me.post("/attachments", {"attachment": {"volume_uuid": id, "instance_uuid": "x"}}, **V).status_code == 400
    assert me.post("/attachments", {"attachment": {"instance_uuid": SERVER}}, **V).status_code == 400
    assert me.post("/attachments", {"attachment": {"volume_uuid": id}}, version="volume 3.26").status_code == 404
