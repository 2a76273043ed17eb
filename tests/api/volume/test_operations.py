"""What operators see and do: quotas, services, pools, letting go of data and taking it in, leftovers."""

from __future__ import annotations

import pytest

from api.volume.volume_calls import act, make_snapshot, make_volume, status
from cumulet.kernel import ids
from cumulet.volume.drivers.base import Source
from cumulet.volume.reconcile import VolumeData


def test_quotas(cloud, me, other, admin):
    make_volume(cloud, me, size=2)
    shown = me.get("/os-quota-sets/p1").json()["quota_set"]
    assert (shown["id"], shown["volumes"], shown["gigabytes"], shown["volumes___DEFAULT__"]) == ("p1", 10, 1000, -1)
    used = me.get("/os-quota-sets/p1?usage=True").json()["quota_set"]
    assert used["gigabytes"] == used["gigabytes___DEFAULT__"] | {"limit": 1000} == {"limit": 1000, "in_use": 2, "reserved": 0}
    assert other.get("/os-quota-sets/p1").status_code == 403
    assert me.put("/os-quota-sets/p1", {"quota_set": {"volumes": 5}}).status_code == 403
    for bad in ({}, {"nonsense": 1}, {"volumes": "x"}, {"volumes": -2}, {"volumes": 2**31}, {"volumes": None}, {"gigabytes": 1}):
        assert admin.put("/os-quota-sets/p1", {"quota_set": bad}).status_code == 400, bad
    assert admin.put("/os-quota-sets/p1", {"quota_set": {"volumes": 5}}).json()["quota_set"]["volumes"] == 5
    assert admin.delete("/os-quota-sets/p1").status_code == 200
    assert me.get("/os-quota-sets/p1").json()["quota_set"]["volumes"] == 10
    assert admin.put("/os-quota-class-sets/default", {"quota_class_set": {"volumes": 11}}).json()["quota_class_set"]["volumes"] == 11
    assert admin.get("/os-quota-class-sets/default").json()["quota_class_set"]["id"] == "default"
    assert me.get("/os-quota-sets/p1/defaults").json()["quota_set"]["volumes"] == 11
    absolute = me.get("/limits").json()["limits"]["absolute"]
    assert (absolute["maxTotalVolumes"], absolute["totalVolumesUsed"], absolute["totalGigabytesUsed"]) == (11, 1, 2)


def test_a_quota_of_a_type(cloud, me, admin):
    admin.post("/types", {"volume_type": {"name": "gold"}})
    admin.put("/os-quota-sets/p1", {"quota_set": {"volumes_gold": 0}})
    over = me.post("/volumes", {"volume": {"size": 1, "volume_type": "gold"}})
    assert over.status_code == 413 and "volumes_gold" in over.json()["overLimit"]["message"]
    id = make_volume(cloud, me)
    assert act(me, id, "os-retype", {"new_type": "gold"}).status_code == 413


def test_services_hosts_and_pools(cloud, me, admin):
    make_volume(cloud, me, size=3)
    services = admin.get("/os-services").json()["services"]
    assert [s["binary"] for s in services] == ["cinder-volume", "cinder-scheduler", "cinder-backup"]
    assert (services[0]["host"], services[0]["state"], services[0]["status"]) == ("store-1@cumulet", "up", "enabled")
    assert len(admin.get("/os-services?binary=cinder-volume&host=store-1").json()["services"]) == 1
    which = {"host": "store-1@cumulet", "binary": "cinder-volume"}
    assert admin.put("/os-services/disable-log-reason", which).status_code == 400
    assert admin.put("/os-services/disable-log-reason", which | {"disabled_reason": "why"}).json()["disabled_reason"] == "why"
    id = me.post("/volumes", {"volume": {"size": 1}}).json()["volume"]["id"]
    assert status(me, id) == "error"
    assert admin.put("/os-services/enable", which).json()["status"] == "enabled"
    assert admin.put("/os-services/enable", which | {"host": "x"}).status_code == 404
    assert admin.put("/os-services/freeze", {"host": "x"}).status_code == 400
    assert me.get("/os-services").status_code == 403
    assert len(admin.get("/os-hosts").json()["hosts"]) == 3
    total = admin.get("/os-hosts/store-1@cumulet").json()["host"][0]["resource"]
    assert (total["volume_count"], total["total_volume_gb"]) == ("1", "3")
    assert admin.get("/scheduler-stats/get_pools").json() == {"pools": [{"name": "store-1@cumulet#cumulet"}]}
    [pool] = admin.get("/scheduler-stats/get_pools?detail=true").json()["pools"]
    can = admin.get("/capabilities/store-1@cumulet").json()
    for name in ("vendor_name", "storage_protocol", "volume_backend_name"):
        assert pool["capabilities"][name] == can[name]
    assert me.get("/os-availability-zone").json()["availabilityZoneInfo"] == [{"zoneName": "nova", "zoneState": {"available": True}}]


def test_discovery(cloud, me):
    stranger = cloud.stranger("/volume")
    assert stranger.get("").status_code == 300
    assert stranger.get("/v3/").json()["versions"][0]["version"] == "3.71"
    assert stranger.get("/v3/extensions").status_code == 401
    assert "os-quota-sets" in [e["alias"] for e in me.get("/extensions").json()["extensions"]]
    assert me.get("/resource_filters?resource=group", version="volume 3.33").json() == {
        "resource_filters": [{"resource": "group", "filters": ["name"]}]}  # fmt: skip


def test_letting_go_of_a_volume_and_taking_it_in(cloud, me, admin, store):
    id = make_volume(cloud, admin, size=2)
    assert act(me, id, "os-unmanage").status_code == 404
    assert act(admin, id, "os-unmanage").status_code == 202
    assert admin.get(f"/volumes/{id}").status_code == 404
    cloud.portal.call(VolumeData(cloud.runtime).run_once)
    assert store.holds()["volumes"] == [id]
    [found] = admin.get("/manageable_volumes?host=store-1@cumulet#cumulet", version="volume 3.8").json()["manageable-volumes"]
    assert (found["reference"], found["size"]) == ({"source-name": f"volume-{id}"}, 2)
    body = {"volume": {"host": "store-1@cumulet#cumulet", "ref": found["reference"], "name": "back"}}
    taken = admin.post("/manageable_volumes", body).json()["volume"]["id"]
    cloud.settle()
    assert admin.get(f"/volumes/{taken}").json()["volume"] | {"status": "available", "size": 2, "name": "back"} == \
        admin.get(f"/volumes/{taken}").json()["volume"]  # fmt: skip
    cloud.portal.call(VolumeData(cloud.runtime).run_once)
    assert store.holds()["volumes"] == [taken]
    assert admin.post("/manageable_volumes", body).status_code == 400


def test_letting_go_of_a_snapshot_and_taking_it_in(cloud, admin, store):
    volume = make_volume(cloud, admin)
    snapshot = make_snapshot(cloud, admin, volume)
    assert admin.post(f"/snapshots/{snapshot}/action", {"os-unmanage": {}}).status_code == 202
    body = {"snapshot": {"volume_id": volume, "ref": {"source-name": f"_snapshot-{snapshot}"}, "metadata": {"a": "b"}}}
    taken = admin.post("/manageable_snapshots", body).json()["snapshot"]["id"]
    cloud.settle()
    assert admin.get(f"/snapshots/{taken}").json()["snapshot"]["status"] == "available"
    cloud.portal.call(VolumeData(cloud.runtime).run_once)
    assert store.holds() == {"volumes": [volume], "snapshots": [taken]}


def test_leftovers_go(cloud, me, store):
    volume = make_volume(cloud, me)
    snapshot = make_snapshot(cloud, me, volume)
    left = ids.new()
    cloud.portal.call(store.driver.create, left, 1, Source())
    cloud.portal.call(store.driver.snapshot, ids.new(), left)
    cloud.portal.call(VolumeData(cloud.runtime).run_once)
    assert store.holds() == {"volumes": [volume], "snapshots": [snapshot]}


@pytest.mark.parametrize("path", ["/volumes/x", "/snapshots/x", "/backups/x", "/os-volume-transfer/x", "/types/x", "/qos-specs/x"])
def test_what_is_not_there(admin, path):
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/volumes", "/snapshots", "/backups", "/types", "/attachments", "/groups", "/group_types", "/group_snapshots"]
)
def test_lists_refuse_what_they_cannot_do(admin, path):
    for query in ("sort=metadata:asc", "sort=extra_specs", "sort=connection", "sort=volume_types", "limit=99999999999999999999", "offset=-1",
                  "sort=name:asc&sort_key=name"):  # fmt: skip
        assert admin.get(f"{path}?{query}", version="volume 3.71").status_code == 400, query
        assert admin.get(f"{path}?marker=x", version="volume 3.71").status_code == 404
