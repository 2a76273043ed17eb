"""Volume types, their extra specs, access, encryption, defaults and QoS specs."""

from __future__ import annotations

import pytest

from api.volume.volume_calls import make_volume

UNKNOWN = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def kind(admin) -> str:
    return admin.post("/types", {"volume_type": {"name": "fast", "extra_specs": {"a": "b"}}}).json()["volume_type"]["id"]


def test_types(cloud, me, admin, kind):
    assert me.post("/types", {"volume_type": {"name": "x"}}).status_code == 403
    assert admin.post("/types", {"volume_type": {"name": "fast"}}).status_code == 409
    for bad in ({}, {"name": ""}, {"name": " "}, {"name": "x" * 256}, {"name": "x", "extra_specs": {"a": 1}}):
        assert admin.post("/types", {"volume_type": bad}).status_code == 400, bad
    assert admin.get(f"/types/{kind}").json()["volume_type"]["extra_specs"] == {"a": "b"}
    assert me.get(f"/types/{kind}").json()["volume_type"] == {
        "id": kind, "name": "fast", "description": None, "is_public": True, "extra_specs": {}, "os-volume-type-access:is_public": True}  # fmt: skip
    assert {row["name"] for row in me.get("/types").json()["volume_types"]} == {"fast", "__DEFAULT__"}
    changed = admin.put(f"/types/{kind}", {"volume_type": {"name": "slow", "description": "d", "is_public": False}}).json()["volume_type"]
    assert (changed["name"], changed["description"], changed["is_public"]) == ("slow", "d", False)
    assert admin.put(f"/types/{kind}", {"volume_type": {}}).status_code == 400
    assert me.get(f"/types/{kind}").status_code == admin.get(f"/types/{UNKNOWN}").status_code == 404
    assert admin.delete(f"/types/{kind}").status_code == 202
    assert admin.delete(f"/types/{kind}").status_code == 404


def test_a_type_in_use_stays(cloud, me, admin, kind):
    admin.put(f"/types/{kind}/extra_specs/a", {"a": "b"})
    admin.delete(f"/types/{kind}/extra_specs/a")
    make_volume(cloud, me, volume_type="fast")
    assert admin.delete(f"/types/{kind}").status_code == 400
    default = me.get("/types/default").json()["volume_type"]
    assert default["name"] == "__DEFAULT__"
    assert admin.delete(f"/types/{default['id']}").status_code == 400


def test_extra_specs(admin, kind):
    path = f"/types/{kind}/extra_specs"
    assert admin.post(path, {"extra_specs": {"c": "d"}}).json() == {"extra_specs": {"c": "d"}}
    assert admin.get(path).json() == {"extra_specs": {"a": "b", "c": "d"}}
    assert admin.get(f"{path}/c").json() == {"c": "d"}
    assert admin.put(f"{path}/c", {"c": "e"}).json() == {"c": "e"}
    for bad in (None, {}, {"x": "y"}, {"c": "e", "x": "y"}):
        assert admin.put(f"{path}/c", bad).status_code == 400, bad
    for bad in ({"extra_specs": None}, {"extra_specs": ["x"]}, {"extra_specs": {}}):
        assert admin.post(path, bad).status_code == 400, bad
    assert admin.delete(f"{path}/c").status_code == 202
    assert admin.get(f"{path}/c").status_code == admin.delete(f"{path}/c").status_code == 404
    for answer in (admin.get(f"/types/{UNKNOWN}/extra_specs"), admin.put(f"/types/{UNKNOWN}/extra_specs/a", {"a": "b"})):
        assert answer.status_code == 404


def test_extra_specs_choose_the_host(cloud, me, admin):
    admin.post("/types", {"volume_type": {"name": "right", "extra_specs": {"storage_protocol": "simulated", "vendor_name": "Cumulet"}}})
    admin.post("/types", {"volume_type": {"name": "wrong", "extra_specs": {"capabilities:storage_protocol": "fc"}}})
    make_volume(cloud, me, volume_type="right")
    id = me.post("/volumes", {"volume": {"size": 1, "volume_type": "wrong"}}).json()["volume"]["id"]
    assert me.get(f"/volumes/{id}").json()["volume"]["status"] == "error"
    [message] = me.get("/messages", version="volume 3.3").json()["messages"]
    assert "storage_protocol=fc (it has simulated)" in message["user_message"]
    assert me.delete(f"/messages/{message['id']}", version="volume 3.3").status_code == 204
    assert me.get(f"/messages/{message['id']}", version="volume 3.3").status_code == 404


def test_access(cloud, me, other, admin):
    id = admin.post("/types", {"volume_type": {"name": "private", "os-volume-type-access:is_public": False}}).json()["volume_type"]["id"]
    body = {"volume": {"size": 1, "volume_type": id}}
    assert me.post("/volumes", body).status_code == 404
    assert admin.post(f"/types/{id}/action", {"addProjectAccess": {"project": "p1"}}).status_code == 202
    assert admin.post(f"/types/{id}/action", {"addProjectAccess": {"project": "p1"}}).status_code == 409
    assert admin.get(f"/types/{id}/os-volume-type-access").json() == {"volume_type_access": [{"volume_type_id": id, "project_id": "p1"}]}
    assert me.post("/volumes", body).status_code == 202
    assert other.post("/volumes", body).status_code == 404
    assert admin.post(f"/types/{id}/action", {"removeProjectAccess": {"project": "p1"}}).status_code == 202
    assert admin.post(f"/types/{id}/action", {"removeProjectAccess": {"project": "p1"}}).status_code == 404
    assert admin.post(f"/types/{id}/action", {"addProjectAccess": {}}).status_code == 400


def test_encryption(me, admin, kind):
    path = f"/types/{kind}/encryption"
    wanted = {"provider": "luks", "key_size": 256, "cipher": "aes-xts-plain64", "control_location": "front-end"}
    made = admin.post(path, {"encryption": wanted}).json()["encryption"]
    assert {key: made[key] for key in wanted} == wanted
    assert admin.post(path, {"encryption": wanted}).status_code == 400
    assert admin.get(path).json()["encryption_id"] == made["encryption_id"]
    refused = me.post("/volumes", {"volume": {"size": 1, "volume_type": "fast"}})
    assert refused.status_code == 400 and "encryption" in refused.json()["badRequest"]["message"]
    assert admin.put(f"{path}/{made['encryption_id']}", {"encryption": {"key_size": 128}}).json() == {"encryption": {"key_size": 128}}
    assert admin.get(f"{path}/key_size").json() == {"key_size": 128}
    assert admin.delete(f"{path}/{made['encryption_id']}").status_code == 202
    assert admin.get(path).json() == {}
    assert admin.post(f"/types/{UNKNOWN}/encryption", {"encryption": wanted}).status_code == 404


def test_defaults_of_projects(cloud, me, admin, kind):
    v = {"version": "volume 3.62"}
    assert admin.put("/default-types/p1", {"default_type": {"volume_type": "fast"}}, **v).json() == {
        "default_type": {"project_id": "p1", "volume_type_id": kind}}  # fmt: skip
    assert me.get("/types/default").json()["volume_type"]["id"] == kind
    assert admin.get("/default-types", **v).json()["default_types"] == [{"project_id": "p1", "volume_type_id": kind}]
    assert admin.delete(f"/types/{kind}").status_code == 400
    assert admin.put("/default-types/p2", {"default_type": {"volume_type": "fast"}}, **v).status_code == 200
    assert admin.delete(f"/types/{kind}").status_code == 400
    assert admin.delete("/default-types/p2", **v).status_code == 204
    assert me.get("/default-types/p1", **v).status_code == 403
    assert admin.delete("/default-types/p1", **v).status_code == 204
    assert admin.get("/default-types/p1", **v).status_code == 404


def test_qos_specs(admin, kind):
    made = admin.post("/qos-specs", {"qos_specs": {"name": "q", "consumer": "front-end", "iops": "5"}}).json()
    id = made["qos_specs"]["id"]
    assert made["qos_specs"] == {"id": id, "name": "q", "consumer": "front-end", "specs": {"iops": "5"}} and made["links"]
    assert admin.post("/qos-specs", {"qos_specs": {"name": "q"}}).status_code == 409
    assert admin.post("/qos-specs", {"qos_specs": {"name": "r", "consumer": "x"}}).status_code == 400
    assert admin.put(f"/qos-specs/{id}", {"qos_specs": {"bytes": "6"}}).json() == {"qos_specs": {"bytes": "6"}}
    assert admin.put(f"/qos-specs/{id}/delete_keys", {"keys": ["iops"]}).status_code == 202
    assert admin.put(f"/qos-specs/{id}/delete_keys", {"keys": ["iops"]}).status_code == 400
    assert admin.get("/qos-specs").json()["qos_specs"][0]["specs"] == {"bytes": "6"}
    assert admin.get(f"/qos-specs/{id}/associate?vol_type_id={kind}").status_code == 202
    assert admin.get(f"/qos-specs/{id}/associations").json()["qos_associations"] == [
        {"id": kind, "name": "fast", "association_type": "volume_type"}]  # fmt: skip
    assert admin.get(f"/types/{kind}").json()["volume_type"]["qos_specs_id"] == id
    assert admin.delete(f"/qos-specs/{id}").status_code == 400
    assert admin.get(f"/qos-specs/{id}/disassociate?vol_type_id={kind}").status_code == 202
    assert admin.get(f"/qos-specs/{id}/disassociate_all").status_code == 202
    assert admin.delete(f"/qos-specs/{id}").status_code == 202
    assert admin.get(f"/qos-specs/{id}").status_code == 404
