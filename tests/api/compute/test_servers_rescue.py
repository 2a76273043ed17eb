"""Rescue, shelving and backups: servers that boot from other images, or become images."""

from __future__ import annotations

import pytest

from cumulet.compute.drivers.base import Power
from cumulet.compute.drivers.simulated import Recipe
from cumulet.kernel.recipe import Trouble
from world import World


@pytest.fixture
def id(world) -> str:
    return world.boot()


def act(world, id: str, settle: bool = True, by=None, version: str | None = None, **body):
    answer = (by or world.me).post(f"/servers/{id}/action", body, version=version)
    if settle:
        world.settle()
    return answer


def machine(world, id: str):
    """What the host was told of a server."""
    return world.agent.hosts["host-1"].compute._servers[id].machine


def images(world, **wanted: str) -> list[dict]:
    found = world.caller("/image/v2", "admin").get("/images").json()["images"]
    return [image for image in found if all(image.get(name) == value for name, value in wanted.items())]


def test_rescue_and_unrescue(world, id):
    rescuer = world.image("rescuer")
    answer = act(world, id, rescue={"adminPass": "x", "rescue_image_ref": rescuer})
    assert answer.status_code == 200 and answer.json() == {"adminPass": "x"}
    assert world.show(id)["status"] == "RESCUE" and world.power(id) == "running"
    first, second = machine(world, id).roots
    assert (first.image, first.boot_index, second.id, second.boot_index) == (rescuer, 0, "root", None)
    for refused in ({"reboot": {"type": "HARD"}}, {"rebuild": {"imageRef": rescuer}}, {"rescue": None}, {"os-stop": None}, {"pause": None}):
        assert act(world, id, **refused).status_code == 409, refused
    assert act(world, id, unrescue=None).status_code == 202
    assert world.show(id)["status"] == "ACTIVE" and [root.id for root in machine(world, id).roots] == ["root"]
    assert act(world, id, unrescue=None).status_code == 409


def test_a_stopped_server_is_rescued_and_a_paused_one_is_not(world, id):
    act(world, id, **{"os-stop": None})
    assert len(act(world, id, rescue=None).json()["adminPass"]) > 8 and world.show(id)["status"] == "RESCUE"
    act(world, id, unrescue=None)
    act(world, id, pause=None)
    assert act(world, id, rescue=None).status_code == 409
    assert act(world, id, rescue={"rescue_image_ref": "nope"}).status_code == 409
    act(world, id, unpause=None)
    assert act(world, id, rescue={"rescue_image_ref": "nope"}).status_code in (400, 404) and world.show(id)["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize("nth", [1, 2])
def test_a_rescue_that_fails_leaves_the_server_as_it_was(database_url, tmp_path, nth):
    world = World(database_url, str(tmp_path), recipe=Recipe(calls={"start": Trouble(nth=(2,), after=nth == 2)}))
    try:
        id = world.boot()
        act(world, id, rescue=None)
        shown = world.show(id)
        assert (shown["status"], shown["OS-EXT-STS:task_state"], world.power(id)) == ("ACTIVE", None, "running")
        assert [root.id for root in machine(world, id).roots] == ["root"]
    finally:
        world.close()


def test_shelve_and_unshelve(world, id):
    image = world.show(id)["image"]["id"]
    assert act(world, id, shelve=None).status_code == 202
    shown = world.show(id)
    assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"], shown["OS-EXT-STS:power_state"]) == ("SHELVED_OFFLOADED", None, 4)
    (shelf,) = images(world, name="s-shelved")
    assert shelf["status"] == "active" and shelf["instance_uuid"] == id and world.machines() == []
    assert shown["addresses"]["private"] and shown["image"]["id"] == image
    assert act(world, id, shelve=None).status_code == 409 and act(world, id, by=world.admin, shelveOffload=None).status_code == 409
    assert act(world, id, shelveOffload=None).status_code == 403
    assert act(world, id, unshelve=None).status_code == 202
    shown = world.show(id)
    assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"], shown["image"]["id"]) == ("ACTIVE", "host-1", image)
    assert machine(world, id).roots[0].image == shelf["id"] and images(world, name="s-shelved") == []
    act(world, id, reboot={"type": "HARD"})
    assert world.show(id)["status"] == "ACTIVE", "its own image serves again"


@pytest.mark.parametrize("before", ["os-stop", "pause", "suspend"])
def test_servers_are_shelved_whatever_they_do(world, id, before):
    act(world, id, **{before: None})
    act(world, id, shelve=None)
    assert world.show(id)["status"] == "SHELVED_OFFLOADED"
    act(world, id, unshelve=None)
    assert world.show(id)["status"] == "ACTIVE"


def test_a_shelved_server_takes_its_image_with_it(world, id):
    act(world, id, shelve=None)
    assert images(world, name="s-shelved")
    world.me.delete(f"/servers/{id}")
    world.settle()
    assert images(world, name="s-shelved") == [] and world.me.get(f"/servers/{id}").status_code == 404


def test_a_server_deleted_while_it_is_shelved_leaves_no_image(world, id):
    act(world, id, settle=False, shelve=None)
    assert images(world, name="s-shelved")[0]["status"] == "queued"
    world.me.delete(f"/servers/{id}")
    world.settle()
    assert images(world, name="s-shelved") == [] and world.machines() == []


@pytest.mark.parametrize("call", ["stop", "snapshot"])
def test_a_server_that_cannot_be_shelved_goes_on(database_url, tmp_path, call):
    world = World(database_url, str(tmp_path), recipe=Recipe(calls={call: Trouble(nth=(1,), message="no room")}))
    try:
        id = world.boot()
        act(world, id, shelve=None)
        assert world.show(id)["status"] == "ACTIVE" and world.power(id) == "running" and images(world, name="s-shelved") == []
        act(world, id, shelve=None)
        assert world.show(id)["status"] == "SHELVED_OFFLOADED"
    finally:
        world.close()


def test_unshelving_where_it_cannot_boot_keeps_it_on_the_shelf(database_url, tmp_path):
    world = World(database_url, str(tmp_path), recipe=Recipe(calls={"start": Trouble(nth=(2,), message="no luck")}))
    try:
        id = world.boot()
        act(world, id, shelve=None)
        act(world, id, unshelve=None)
        assert world.show(id)["status"] == "SHELVED_OFFLOADED" and world.machines() == [] and images(world, name="s-shelved")
        act(world, id, unshelve=None)
        assert world.show(id)["status"] == "ACTIVE" and images(world, name="s-shelved") == []
    finally:
        world.close()


def test_unshelving_asks_for_a_zone_or_a_host(world, id):
    act(world, id, shelve=None)
    ask = lambda version, body, by=None: act(world, id, settle=False, by=by, version=version, unshelve=body).status_code
    assert ask("compute 2.77", {}) == 400 and ask("compute 2.77", {"availability_zone": "nope"}) == 400
    assert ask("compute 2.90", {"host": "host-1"}) == 400 and ask("compute 2.91", {"host": "host-1"}) == 403
    assert ask("compute 2.91", {"host": "nope"}, world.admin) == 409 and world.show(id)["OS-EXT-STS:task_state"] is None
    assert ask("compute 2.91", {"host": "host-1", "availability_zone": "nova"}, world.admin) == 202
    world.settle()
    assert world.show(id)["status"] == "ACTIVE" and world.show(id)["pinned_availability_zone"] == "nova"


def test_backups_rotate(world, id):
    backup = lambda name, rotation=2, kind="daily", **more: act(
        world, id, createBackup={"name": name, "backup_type": kind, "rotation": rotation, **more})  # fmt: skip
    assert backup("b0", kind="weekly").status_code == 202
    for name in ("b1", "b2", "b3"):
        answer = backup(name, metadata={"k": "v"})
        assert answer.status_code == 202 and "/images/" in answer.headers["location"]
    assert sorted(image["name"] for image in images(world, image_type="backup")) == ["b0", "b2", "b3"]
    (last,) = images(world, name="b3")
    assert (last["backup_type"], last["instance_uuid"], last["k"], last["status"]) == ("daily", id, "v", "active")
    assert "location" not in backup("b4", rotation=0).headers
    assert sorted(image["name"] for image in images(world, image_type="backup")) == ["b0"]
    answer = act(world, id, version="compute 2.45", createBackup={"name": "b5", "backup_type": "daily", "rotation": "1"})
    assert images(world, id=answer.json()["image_id"])[0]["name"] == "b5"
    for bad in ({"rotation": -1}, {"name": ""}, {"rotation": "x"}, {"metadata": {"k": 1}}, {"rotation": 10**12}):
        assert act(world, id, createBackup={"name": "b", "backup_type": "d", "rotation": 1} | bad).status_code == 400, bad


def test_a_server_on_a_volume_is_shelved_without_an_image(world):
    image = world.image("rescuer", hw_rescue_device="disk")
    disk = {"source_type": "image", "destination_type": "volume", "uuid": world.image(), "volume_size": 1, "boot_index": 0}
    id = world.boot(block_device_mapping_v2=[disk])
    (volume,) = machine(world, id).volumes
    act(world, id, shelve=None)
    assert world.show(id)["status"] == "SHELVED_OFFLOADED" and images(world, name="s-shelved") == []
    act(world, id, unshelve=None)
    assert world.show(id)["status"] == "ACTIVE" and machine(world, id).volumes[0].id == volume.id
    assert act(world, id, rescue={"rescue_image_ref": image}).status_code == 400
    assert act(world, id, version="compute 2.87", rescue=None).status_code == 400
    assert act(world, id, version="compute 2.87", rescue={"rescue_image_ref": image}).status_code == 200
    assert (
        world.show(id)["status"] == "RESCUE"
        and machine(world, id).roots[0].image == image
        and machine(world, id).volumes[0].boot_index is None
    )
    act(world, id, unrescue=None)
    assert world.show(id)["status"] == "ACTIVE" and machine(world, id).volumes[0].boot_index == 0 and not machine(world, id).roots
    assert act(world, id, createBackup={"name": "b", "backup_type": "d", "rotation": 1}).status_code == 400


def test_a_rescued_server_stays_one_whatever_its_guest_does(world, id):
    act(world, id, rescue=None)
    host = world.agent.hosts["host-1"].compute
    world.portal.call(host.happen, id, Power.CRASHED)
    world.until(lambda: world.settle() or world.power(id) == "running")
    assert world.show(id)["status"] == "RESCUE" and machine(world, id).roots[0].id == "rescue"
    world.portal.call(host.happen, id, Power.STOPPED)
    world.settle()
    assert world.show(id)["status"] == "RESCUE"
    act(world, id, unrescue=None)
    assert world.show(id)["status"] == "ACTIVE" and world.power(id) == "running"
