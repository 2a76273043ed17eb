"""What is done to volumes by `POST /volumes/{id}/action`."""

from __future__ import annotations

import pytest

from api.volume.volume_calls import act, make_snapshot, make_volume, status
from cumulet import volume as volume_service
from cumulet.volume.workflows import extend

SERVER, OTHER_SERVER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
MULTI = {"multiattach": "<is> True"}


def show(caller, id):
    return caller.get(f"/volumes/{id}").json()["volume"]


def test_reserving(cloud, me):
    id = make_volume(cloud, me)
    assert act(me, id, "os-reserve", {}).status_code == 202
    assert status(me, id) == "attaching"
    refused = act(me, id, "os-reserve")
    assert refused.status_code == 400 and "attaching" in refused.json()["badRequest"]["message"]
    assert act(me, id, "os-unreserve").status_code == 202
    assert status(me, id) == "available"


def test_attaching_and_detaching(cloud, me):
    id = make_volume(cloud, me)
    assert act(me, id, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"}).status_code == 202
    shown = show(me, id)
    assert shown["status"] == "in-use"
    [use] = shown["attachments"]
    assert (use["server_id"], use["device"], use["volume_id"], use["id"]) == (SERVER, "/dev/vdb", id, id)
    assert me.delete(f"/volumes/{id}").status_code == 400
    assert act(me, id, "os-attach", {"instance_uuid": OTHER_SERVER, "mountpoint": "/dev/vdb"}).status_code == 400
    assert act(me, id, "os-begin_detaching").status_code == 202 and status(me, id) == "detaching"
    assert act(me, id, "os-roll_detaching").status_code == 202 and status(me, id) == "in-use"
    assert act(me, id, "os-detach", {"attachment_id": None}).status_code == 202
    assert show(me, id)["attachments"] == [] and status(me, id) == "available"
    assert act(me, id, "os-detach", {}).status_code == 202
    assert act(me, id, "os-begin_detaching").status_code == 400


@pytest.mark.parametrize("body", [{}, {"mountpoint": "/dev/vdb"}, {"instance_uuid": "x", "mountpoint": "/dev/vdb"},
                                  {"instance_uuid": SERVER, "mountpoint": ""}, {"instance_uuid": SERVER, "mountpoint": "/a", "mode": "x"}])  # fmt: skip
def test_what_is_no_attachment(cloud, me, body):
    id = make_volume(cloud, me)
    assert act(me, id, "os-attach", body).status_code == 400


def test_several_servers(cloud, me, admin):
    admin.post("/types", {"volume_type": {"name": "multi", "extra_specs": MULTI}})
    id = make_volume(cloud, me, volume_type="multi")
    assert show(me, id)["multiattach"] is True
    for server in (SERVER, OTHER_SERVER):
        assert act(me, id, "os-attach", {"instance_uuid": server, "mountpoint": "/dev/vdb"}).status_code == 202
    uses = show(me, id)["attachments"]
    assert {use["server_id"] for use in uses} == {SERVER, OTHER_SERVER}
    assert act(me, id, "os-detach", {}).status_code == 400
    assert act(me, id, "os-detach", {"attachment_id": uses[0]["attachment_id"]}).status_code == 202
    assert status(me, id) == "in-use"
    assert act(me, id, "os-detach", {"attachment_id": uses[0]["attachment_id"]}).status_code == 404
    assert act(me, id, "os-detach", {}).status_code == 202
    assert status(me, id) == "available"


def test_forgetting_one_of_several_servers(cloud, me, admin):
    admin.post("/types", {"volume_type": {"name": "multi", "extra_specs": MULTI}})
    id = make_volume(cloud, me, volume_type="multi")
    for server in (SERVER, OTHER_SERVER):
        act(me, id, "os-attach", {"instance_uuid": server, "mountpoint": "/dev/vdb"})
    act(me, id, "os-begin_detaching")
    first, second = (use["attachment_id"] for use in show(me, id)["attachments"])
    assert act(admin, id, "os-force_detach", {"attachment_id": first}).status_code == 202 and status(me, id) == "in-use"
    assert act(admin, id, "os-force_detach", {"attachment_id": second}).status_code == 202 and status(me, id) == "available"


def test_what_is_done_to_a_guests_volume_goes_on_when_the_guest_starts_again(cloud, me):
    id = make_volume(cloud, me)
    again = lambda: cloud.transact(lambda tx: volume_service.attach(tx, id, server_id=SERVER, host="h", mountpoint="/dev/vda"))
    cloud.transact(lambda tx: volume_service.reserve(tx, id, SERVER))
    again()
    since = show(me, id)["attachments"][0]["attached_at"]
    act(me, id, "os-volume_upload_image", {"image_name": "i", "force": True})
    again()
    assert status(me, id) == "uploading" and show(me, id)["attachments"][0]["attached_at"] == since
    cloud.settle()
    assert status(me, id) == "in-use"


def test_a_guests_volume_is_detached_by_compute_only(cloud, me, admin):
    id = make_volume(cloud, me)
    cloud.transact(lambda tx: volume_service.reserve(tx, id, SERVER))
    assert status(me, id) == "reserved"
    cloud.transact(lambda tx: volume_service.attach(tx, id, server_id=SERVER, host="h", mountpoint="/dev/vda"))
    [use] = show(me, id)["attachments"]
    for answer in (act(me, id, "os-detach", {}), act(admin, id, "os-force_detach", {"attachment_id": use["attachment_id"], "connector": None}),
                   act(me, id, "os-terminate_connection", {"connector": {"host": "h"}}),
                   me.delete(f"/attachments/{use['attachment_id']}", version="volume 3.27")):  # fmt: skip
        assert answer.status_code == 409
        assert answer.json()["conflictingRequest"]["message"] == f"Detach volume from instance {SERVER} using the Compute API"
    cloud.transact(lambda tx: volume_service.begin_detaching(tx, id))
    cloud.transact(lambda tx: volume_service.detach(tx, id, server_id=SERVER))
    assert status(me, id) == "available"


def test_flags(cloud, me):
    id = make_volume(cloud, me)
    for flag in (True, False):
        assert act(me, id, "os-set_bootable", {"bootable": flag}).status_code == 200
        assert act(me, id, "os-update_readonly_flag", {"readonly": flag}).status_code == 202
        shown = show(me, id)
        assert (shown["bootable"], shown["metadata"]["readonly"]) == (str(flag).lower(), str(flag))
        attached = act(me, id, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
        assert attached.status_code == (400 if flag else 202)
    assert act(me, id, "os-set_bootable", {"bootable": "perhaps"}).status_code == 400


def test_extending(cloud, me, admin, store):
    id = make_volume(cloud, me)
    assert act(me, id, "os-extend", {"new_size": 3}).status_code == 202
    assert status(me, id) == "extending"
    assert me.get("/limits").json()["limits"]["absolute"]["totalGigabytesUsed"] == 3
    cloud.settle()
    assert (show(me, id)["status"], show(me, id)["size"]) == ("available", 3)
    for bad in (3, 1, 0, "x", None, 2**40):
        assert act(me, id, "os-extend", {"new_size": bad}).status_code == 400, bad
    admin.put("/os-quota-sets/p1", {"quota_set": {"gigabytes": 4}})
    assert act(me, id, "os-extend", {"new_size": 5}).status_code == 413
    store.fail("extend before")
    act(me, id, "os-extend", {"new_size": 4})
    cloud.settle()
    assert (show(me, id)["status"], show(me, id)["size"]) == ("error_extending", 3)


def test_extending_what_a_guest_has(cloud, me, monkeypatch):
    told = []

    def hear(tx, server_id, volume_id, size_gib, request_id):
        told.append((server_id, volume_id, size_gib))

    monkeypatch.setattr(extend, "HEARERS", [hear])
    id = make_volume(cloud, me)
    cloud.transact(lambda tx: volume_service.attach(tx, id, server_id=SERVER, host="h", mountpoint="/dev/vda"))
    assert act(me, id, "os-extend", {"new_size": 2}, version="volume 3.41").status_code == 400
    assert act(me, id, "os-extend", {"new_size": 2}, version="volume 3.42").status_code == 202
    cloud.settle()
    assert (show(me, id)["status"], show(me, id)["size"]) == ("in-use", 2)
    assert told == [(SERVER, id, 2)]


def test_reset_and_force_delete(cloud, me, admin):
    id = make_volume(cloud, me)
    assert act(me, id, "os-reset_status", {"status": "error"}).status_code == 403
    for wanted in ("error", "maintenance", "creating"):
        assert act(admin, id, "os-reset_status", {"status": wanted}).status_code == 202
        assert status(me, id) == wanted
    assert act(admin, id, "os-reset_status", {"status": "nonsense"}).status_code == 400
    assert act(admin, id, "os-reset_status", {}).status_code == 400
    assert act(me, id, "os-force_delete").status_code == 403
    assert act(admin, id, "os-force_delete", {}).status_code == 202
    cloud.settle()
    assert me.get(f"/volumes/{id}").status_code == 404


def test_reverting(cloud, me, store):
    id = make_volume(cloud, me)
    old, new = make_snapshot(cloud, me, id), make_snapshot(cloud, me, id)
    v = {"version": "volume 3.40"}
    assert act(me, id, "revert", {"snapshot_id": old}, **v).status_code == 400
    assert act(me, id, "revert", {"snapshot_id": new}, **v).status_code == 202
    assert status(me, id) == "reverting"
    cloud.settle()
    assert status(me, id) == "available"
    assert me.get(f"/snapshots/{new}").json()["snapshot"]["status"] == "available"
    assert act(me, id, "revert", {"snapshot_id": new}).status_code == 404


def test_making_an_image_of_a_volume(cloud, me):
    id = make_volume(cloud, me)
    answer = act(me, id, "os-volume_upload_image", {"image_name": "from volume", "disk_format": "qcow2"})
    assert answer.status_code == 202
    said = answer.json()["os-volume_upload_image"]
    assert (said["status"], said["image_name"], said["id"]) == ("uploading", "from volume", id)
    assert status(me, id) == "uploading"
    cloud.settle()
    assert status(me, id) == "available"
    images = cloud.caller("/image/v2")
    image = images.get(f"/images/{said['image_id']}").json()
    assert (image["status"], image["name"], image["disk_format"], image["virtual_size"]) == ("active", "from volume", "qcow2", 1 << 30)
    made = make_volume(cloud, me, imageRef=image["id"])
    assert show(me, made)["bootable"] == "true"
    assert show(me, made)["volume_image_metadata"]["image_id"] == image["id"]


def test_an_upload_that_fails_leaves_no_image(cloud, me, store):
    id = make_volume(cloud, me)
    store.fail("copy_to_image before")
    image = act(me, id, "os-volume_upload_image", {"image_name": "x"}).json()["os-volume_upload_image"]["image_id"]
    cloud.settle()
    assert status(me, id) == "available"
    assert cloud.caller("/image/v2").get(f"/images/{image}").status_code == 404


def test_image_metadata(cloud, me):
    id = make_volume(cloud, me)
    assert act(me, id, "os-set_image_metadata", {"metadata": {"a": "b", "c": "d"}}).json() == {"metadata": {"a": "b", "c": "d"}}
    assert act(me, id, "os-unset_image_metadata", {"key": "a"}).status_code == 200
    assert act(me, id, "os-unset_image_metadata", {"key": "a"}).status_code == 404
    assert act(me, id, "os-show_image_metadata", {}).json() == {"metadata": {"c": "d"}}
    assert show(me, id)["volume_image_metadata"] == {"c": "d"}


def test_retyping(cloud, me, admin):
    admin.post("/types", {"volume_type": {"name": "plain"}})
    admin.post("/types", {"volume_type": {"name": "elsewhere", "extra_specs": {"storage_protocol": "fc"}}})
    id = make_volume(cloud, me)
    assert act(me, id, "os-retype", {"new_type": "plain", "migration_policy": "never"}).status_code == 202
    assert (show(me, id)["volume_type"], show(me, id)["status"]) == ("plain", "available")
    refused = act(me, id, "os-retype", {"new_type": "elsewhere", "migration_policy": "on-demand"})
    assert refused.status_code == 400 and "storage_protocol=fc" in refused.json()["badRequest"]["message"]
    assert act(me, id, "os-retype", {"new_type": "nonsense"}).status_code == 404


def test_connecting(cloud, me):
    id = make_volume(cloud, me)
    info = act(me, id, "os-initialize_connection", {"connector": {"host": "h"}}).json()["connection_info"]
    assert (info["driver_volume_type"], info["data"]["volume_id"]) == ("simulated", id)
    assert act(me, id, "os-initialize_connection", {"connector": {}}).status_code == 400
    assert act(me, id, "os-terminate_connection", {"connector": {"host": "h"}}).status_code == 202


def test_what_is_no_action(cloud, me):
    id = make_volume(cloud, me)
    for body in ({}, {"nonsense": {}}, {"os-reserve": {}, "os-detach": {}}, []):
        assert me.post(f"/volumes/{id}/action", body).status_code == 400, body
    assert act(me, "nonsense", "os-reserve", {}).status_code == 404
