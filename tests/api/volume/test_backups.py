"""Backups and transfers."""

from __future__ import annotations

import base64
import json

from api.volume.volume_calls import act, make_snapshot, make_volume, status


def make_backup(cloud, me, volume, **more):
    made = me.post("/backups", {"backup": {"volume_id": volume, **more}})
    assert made.status_code == 202, made.text
    cloud.settle()
    backup = me.get(f"/backups/{made.json()['backup']['id']}").json()["backup"]
    assert backup["status"] == "available"
    return backup


def test_backing_up_and_restoring(cloud, me, other, store):
    volume = make_volume(cloud, me, size=2, metadata={"a": "b"})
    act(me, volume, "os-set_bootable", {"bootable": True})
    backup = make_backup(cloud, me, volume, name="n")
    assert (backup["size"], backup["is_incremental"], backup["has_dependent_backups"], backup["name"]) == (2, False, False, "n")
    assert status(me, volume) == "available"
    me.delete(f"/volumes/{volume}")
    restored = me.post(f"/backups/{backup['id']}/restore", {"restore": {}}).json()["restore"]
    assert restored["backup_id"] == backup["id"]
    assert me.get(f"/backups/{backup['id']}").json()["backup"]["status"] == "restoring"
    cloud.settle()
    made = me.get(f"/volumes/{restored['volume_id']}").json()["volume"]
    assert (made["status"], made["size"], made["metadata"], made["bootable"]) == ("available", 2, {"a": "b"}, "true")
    assert me.get(f"/backups/{backup['id']}").json()["backup"]["status"] == "available"
    assert other.get(f"/backups/{backup['id']}").status_code == 404
    assert me.delete(f"/backups/{backup['id']}").status_code == 202
    cloud.settle()
    assert me.get(f"/backups/{backup['id']}").status_code == 404
    assert not list((cloud.runtime.config.root / "images" / "backups").iterdir())


def test_restoring_onto_a_volume(cloud, me):
    volume, small = make_volume(cloud, me, size=2), make_volume(cloud, me)
    backup = make_backup(cloud, me, volume)
    path = f"/backups/{backup['id']}/restore"
    assert me.post(path, {"restore": {"volume_id": small}}).status_code == 400
    assert me.post(path, {"restore": {"volume_id": volume}}).status_code == 202
    assert status(me, volume) == "restoring-backup"
    cloud.settle()
    assert status(me, volume) == "available"


def test_of_a_snapshot_incremental_and_volume_from_backup(cloud, me, store):
    volume = make_volume(cloud, me)
    assert me.post("/backups", {"backup": {"volume_id": volume, "incremental": True}}).status_code == 400
    snapshot = make_snapshot(cloud, me, volume)
    first = make_backup(cloud, me, volume, snapshot_id=snapshot)
    assert store.holds()["volumes"] == [volume]
    second = make_backup(cloud, me, volume, incremental=True)
    assert second["is_incremental"]
    assert me.delete(f"/backups/{first['id']}").status_code == 400
    made = me.post("/volumes", {"volume": {"backup_id": second["id"]}}, version="volume 3.47").json()["volume"]
    cloud.settle()
    assert status(me, made["id"]) == "available"


def test_a_failed_backup(cloud, me, store):
    volume = make_volume(cloud, me)
    store.fail("copy_to_image before")
    id = me.post("/backups", {"backup": {"volume_id": volume}}).json()["backup"]["id"]
    cloud.settle()
    backup = me.get(f"/backups/{id}").json()["backup"]
    assert backup["status"] == "error" and "recipe" in backup["fail_reason"]
    assert status(me, volume) == "available"


def test_records(cloud, me, admin):
    backup = make_backup(cloud, me, make_volume(cloud, me))
    record = admin.get(f"/backups/{backup['id']}/export_record").json()["backup-record"]
    assert admin.post("/backups/import_record", {"backup-record": record}).status_code == 400
    known = json.loads(base64.b64decode(record["backup_url"])) | {"id": "00000000-0000-4000-8000-000000000001"}
    record["backup_url"] = base64.b64encode(json.dumps(known).encode()).decode()
    imported = admin.post("/backups/import_record", {"backup-record": record})
    assert imported.status_code == 201 and imported.json()["backup"]["id"] == known["id"]
    admin.delete(f"/backups/{backup['id']}")
    cloud.settle()
    restored = admin.post(f"/backups/{known['id']}/restore", {"restore": {}}).json()["restore"]["volume_id"]
    cloud.settle()
    assert status(admin, restored) == "available"
    record["backup_url"] = "nonsense"
    assert admin.post("/backups/import_record", {"backup-record": record}).status_code == 400


def test_transfer(cloud, me, other):
    for path, version in (("/os-volume-transfer", "3.0"), ("/volume-transfers", "3.57")):
        v = {"version": f"volume {version}"}
        volume = make_volume(cloud, me)
        make_snapshot(cloud, me, volume)
        offer = me.post(path, {"transfer": {"volume_id": volume, "name": "n"}}, **v).json()["transfer"]
        assert status(me, volume) == "awaiting-transfer"
        assert [t["id"] for t in me.get(f"{path}/detail", **v).json()["transfers"]] == [offer["id"]]
        assert "auth_key" not in me.get(f"{path}/{offer['id']}", **v).json()["transfer"]
        assert other.post(f"{path}/{offer['id']}/accept", {"accept": {"auth_key": "wrong"}}, **v).status_code == 400
        accepted = other.post(f"{path}/{offer['id']}/accept", {"accept": {"auth_key": offer["auth_key"]}}, **v)
        assert accepted.status_code == 202 and accepted.json()["transfer"]["volume_id"] == volume
        taken = other.get(f"/volumes/{volume}").json()["volume"]
        assert (taken["status"], taken["os-vol-tenant-attr:tenant_id"], taken["user_id"]) == ("available", "p2", "u2")
        assert me.get(f"/volumes/{volume}").status_code == 404
        assert other.get(f"/snapshots?volume_id={volume}").json()["snapshots"] != []
    assert me.get("/volume-transfers").status_code == 404


def test_a_transfer_taken_back(cloud, me):
    volume = make_volume(cloud, me)
    offer = me.post("/os-volume-transfer", {"transfer": {"volume_id": volume}}).json()["transfer"]
    assert me.post("/os-volume-transfer", {"transfer": {"volume_id": volume}}).status_code == 400
    assert me.delete(f"/os-volume-transfer/{offer['id']}").status_code == 202
    assert status(me, volume) == "available"
    assert me.get(f"/os-volume-transfer/{offer['id']}").status_code == 404
