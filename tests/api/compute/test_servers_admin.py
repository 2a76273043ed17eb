"""What administrators and other services do to servers: states, moves, events, counters; and what is refused."""

from __future__ import annotations

import pytest

from cumulet.compute.hosts import compute_services
from cumulet.kernel import ids
from world import World


@pytest.fixture
def id(world) -> str:
    return world.boot()


def act(world, id: str, by=None, version: str | None = None, **body):
    return (by or world.admin).post(f"/servers/{id}/action", body, version=version)


def test_a_state_is_reset(world, id):
    assert act(world, id, by=world.me, **{"os-resetState": {"state": "error"}}).status_code == 403
    assert act(world, id, **{"os-resetState": {"state": "error"}}).status_code == 202 and world.show(id)["status"] == "ERROR"
    assert act(world, id, **{"os-resetState": {"state": "active"}}).status_code == 202 and world.show(id)["status"] == "ACTIVE"
    for bad in ({"state": "paused"}, {}, None, {"state": "active", "x": 1}):
        assert act(world, id, **{"os-resetState": bad}).status_code == 400, bad
    assert act(world, ids.new(), **{"os-resetState": {"state": "active"}}).status_code == 404


def test_what_there_is_no_means_for(world, id):
    assert act(world, id, resetNetwork=None).status_code == 410 and act(world, id, injectNetworkInfo=None).status_code == 202
    assert act(world, id, restore=None).status_code == 409 and act(world, id, changePassword={"adminPass": "x"}).status_code == 409
    assert (
        act(world, id, version="compute 2.17", trigger_crash_dump=None).status_code == 400
        and act(world, id, trigger_crash_dump=None).status_code == 404
    )
    assert act(world, id, changePassword={}).status_code == 400
    assert world.me.get(f"/servers/{id}/os-server-password").json() == {"password": ""}
    assert world.me.delete(f"/servers/{id}/os-server-password").status_code == 204
    assert world.me.get(f"/servers/{id}/topology", version="compute 2.78").json() == {"nodes": [], "pagesize_kb": None}
    assert world.me.get(f"/servers/{id}/topology", version="compute 2.77").status_code == 404


def test_force_delete(world, id):
    assert act(world, id, by=world.me, forceDelete=None).status_code == 202
    world.settle()
    assert world.me.get(f"/servers/{id}").status_code == 404


def test_moves_are_refused_with_the_reason(world, id):
    live = {"host": None, "block_migration": "auto"}
    for body in ({"migrate": None}, {"os-migrateLive": live}):
        answer = act(world, id, version="compute 2.56", **body)
        assert answer.status_code == 400 and "No valid host was found. There is no other host" in answer.text, body
    assert act(world, id, by=world.me, migrate=None).status_code == 403
    assert (
        act(
            world, id, by=world.caller("/compute/v2.1", "member", "manager"), version="compute 2.56", migrate={"host": "host-1"}
        ).status_code
        == 403
    )
    assert "current host" in act(world, id, version="compute 2.56", migrate={"host": "host-1"}).text
    assert act(world, id, migrate={"host": "x"}).status_code == 400, "not before 2.56"
    assert act(world, id, **{"os-migrateLive": live}).status_code == 400, "not before 2.25"
    evacuation = act(world, id, version="compute 2.14", evacuate={})
    assert evacuation.status_code == 400 and "still in use" in evacuation.text
    assert (
        act(world, id, version="compute 2.14", evacuate={"host": "nope"}).status_code == 404
        and act(world, id, evacuate={}).status_code == 400
    )
    world.transact(lambda tx: tx.update(compute_services, {"host": "host-1"}, forced_down=True))
    assert "No valid host" in act(world, id, version="compute 2.95", evacuate={}).text
    act(world, id, by=world.me, **{"os-stop": None})
    assert act(world, id, version="compute 2.30", **{"os-migrateLive": live}).status_code == 409
    world.settle()


def test_where_there_is_another_host_the_disks_are_in_the_way(database_url, tmp_path):
    world = World(database_url, str(tmp_path), hosts=2)
    try:
        id = world.boot()
        assert "are files of host" in act(world, id, migrate=None).text
    finally:
        world.close()


def test_moves_under_way(world, id):
    assert world.admin.get(f"/servers/{id}/migrations", version="compute 2.23").json() == {"migrations": []}
    assert world.admin.get(f"/servers/{id}/migrations").status_code == 404
    assert world.admin.get(f"/servers/{id}/migrations/1", version="compute 2.23").status_code == 404
    assert world.admin.delete(f"/servers/{id}/migrations/1", version="compute 2.24").status_code == 409
    assert world.admin.post(f"/servers/{id}/migrations/1/action", {"force_complete": None}, version="compute 2.22").status_code == 409
    assert world.me.get(f"/servers/{id}/migrations", version="compute 2.23").status_code == 403


def test_diagnostics(world, id):
    new = world.admin.get(f"/servers/{id}/diagnostics", version="compute 2.48").json()
    assert (new["state"], new["num_cpus"], new["num_nics"], new["num_disks"], new["config_drive"]) == ("running", 1, 1, 1, False)
    assert new["memory_details"] == {"maximum": 64, "used": 0} and new["nic_details"][0]["mac_address"].count(":") == 5
    old = world.admin.get(f"/servers/{id}/diagnostics").json()
    assert old["memory"] == 64 << 10 and old["vda_read"] == 0 and any(name.startswith("tap") for name in old)
    assert world.me.get(f"/servers/{id}/diagnostics").status_code == 403
    act(world, id, **{"os-stop": None})
    world.settle()
    answer = world.admin.get(f"/servers/{id}/diagnostics")
    assert answer.status_code == 409 and "power_state shutdown" in answer.text


def test_events_of_other_services(world, id):
    homeless = world.boot(flavorRef=world.flavor("huge", disk=10**6), wait=False)

    def tell(*events: dict, version: str = "compute 2.82", by=None):
        return (by or world.admin).post("/os-server-external-events", {"events": list(events)}, version=version)

    plugged = {"name": "network-vif-plugged", "server_uuid": id, "tag": "port"}
    answer = tell(plugged | {"status": "completed"})
    assert answer.status_code == 200 and answer.json()["events"] == [plugged | {"status": "completed", "code": 200}]
    mixed = tell(
        plugged, plugged | {"server_uuid": ids.new()}, plugged | {"server_uuid": homeless}, {"name": "power-update", "server_uuid": id}
    )
    assert mixed.status_code == 207 and [event["code"] for event in mixed.json()["events"]] == [200, 404, 422, 400]
    assert tell(plugged, by=world.me).status_code == 403 and tell(plugged, by=world.caller("/compute/v2.1", "service")).status_code == 200
    for bad in (plugged | {"name": "nope"}, plugged | {"server_uuid": "x"}, plugged | {"status": "nope"}, plugged | {"x": 1}):
        assert tell(bad).status_code == 400, bad
    assert tell().status_code == 400 and tell(plugged | {"name": "power-update"}, version="compute 2.75").status_code == 400
    assert tell({"name": "volume-extended", "server_uuid": id, "tag": ids.new()}).json()["events"][0]["code"] == 400


def test_a_volume_that_grew_is_told_to_its_guest(world, id):
    volume = world.volume(2)
    attached = world.me.post(f"/servers/{id}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}}, version="compute 2.89")
    assert attached.status_code == 200, attached.text
    world.settle()
    assert [one.id for one in world.agent.hosts["host-1"].compute._servers[id].machine.volumes] == [volume]
    event = {"name": "volume-extended", "server_uuid": id, "tag": volume}
    assert world.admin.post("/os-server-external-events", {"events": [event]}, version="compute 2.51").status_code == 200
    world.settle()
    done = world.me.get(f"/servers/{id}/os-instance-actions", version="compute 2.51").json()["instanceActions"][0]
    assert done["action"] == "extend_volume" and done["message"] is None
    world.me.post(f"/servers/{id}/action", {"shelve": None})
    world.settle()
    shelved = world.show(id)
    assert shelved["status"] == "SHELVED_OFFLOADED" and shelved["os-extended-volumes:volumes_attached"][0]["id"] == volume
    world.me.post(f"/servers/{id}/action", {"unshelve": None})
    world.settle()
    assert [one.id for one in world.agent.hosts["host-1"].compute._servers[id].machine.volumes] == [volume]
    assert world.me.delete(f"/servers/{id}/os-volume_attachments/{volume}").status_code == 202
    world.settle()
    assert world.caller("/volume/v3").get(f"/volumes/{volume}").json()["volume"]["status"] == "available"
