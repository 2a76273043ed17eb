"""Images of servers that boot from volumes, servers made of such images, and backups that are others'."""

from __future__ import annotations

import json

import pytest

from cumulet.kernel.work import StepFailed

VOLUME, IMAGE = "/volume/v3", "/image/v2"


@pytest.fixture
def backed(world) -> str:
    """A server that boots from a volume, and has another."""
    disk = {"source_type": "image", "destination_type": "volume", "uuid": world.image(), "boot_index": 0, "volume_size": 1}
    more = {"source_type": "volume", "destination_type": "volume", "uuid": world.volume(2), "boot_index": -1}
    return world.boot(imageRef="", block_device_mapping_v2=[disk | {"delete_on_termination": True}, more])


def create_image(world, id: str, by=None, **more):
    return (by or world.me).post(f"/servers/{id}/action", {"createImage": {"name": "i", **more}}, version="compute 2.45")


def show_image(world, id: str) -> dict:
    return world.caller(IMAGE).get(f"/images/{id}").json()


def snapshots(world) -> list[dict]:
    return world.caller(VOLUME).get("/snapshots/detail").json()["snapshots"]


def test_an_image_of_volumes_and_a_server_of_it(world, backed):
    answer = create_image(world, backed, metadata={"k": "v"})
    assert answer.status_code == 202
    assert world.show(backed)["OS-EXT-STS:task_state"] == "image_snapshot"
    world.settle()
    image = show_image(world, answer.json()["image_id"])
    assert (image["status"], image["size"], image["bdm_v2"], image["root_device_name"], image["k"]) == (
        "active",
        0,
        "True",
        "/dev/vda",
        "v",
    )
    mapping = json.loads(image["block_device_mapping"])
    taken = {one["id"]: one for one in snapshots(world)}
    assert [(one["source_type"], one["destination_type"], one["boot_index"], one["volume_size"]) for one in mapping] == [
        ("snapshot", "volume", 0, 1), ("snapshot", "volume", -1, 2)]  # fmt: skip
    assert [taken[one["snapshot_id"]]["name"] for one in mapping] == ["snapshot for i"] * 2
    assert world.show(backed)["OS-EXT-STS:task_state"] is None

    copy = world.boot(imageRef=image["id"], flavorRef=world.flavor("f0", disk=0))
    shown = world.show(copy)
    held = [world.caller(VOLUME).get(f"/volumes/{one['id']}").json()["volume"] for one in shown["os-extended-volumes:volumes_attached"]]
    assert [one["snapshot_id"] for one in held] == [one["snapshot_id"] for one in mapping]
    assert [one["delete_on_termination"] for one in shown["os-extended-volumes:volumes_attached"]] == [True, False]
    assert shown["image"] == "" and world.power(copy) == "running"


def test_a_disk_of_the_request_takes_the_place_of_the_images(world, backed):
    image = create_image(world, backed).json()["image_id"]
    world.settle()
    blank = {"source_type": "blank", "destination_type": "volume", "volume_size": 3, "device_name": "/dev/vdb", "boot_index": -1}
    copy = world.show(world.boot(imageRef=image, block_device_mapping_v2=[blank]))
    held = [world.caller(VOLUME).get(f"/volumes/{one['id']}").json()["volume"] for one in copy["os-extended-volumes:volumes_attached"]]
    assert [(one["size"], bool(one["snapshot_id"])) for one in held] == [(1, True), (3, False)]


@pytest.mark.parametrize("mapping", [
    "nonsense", "{}", "[1]", '[{"boot_index": 0}]', '[{"source_type": "snapshot", "boot_index": 0}]',
    '[{"source_type": "snapshot", "snapshot_id": "nope", "boot_index": 0}]', '[{"source_type": "blank", "boot_index": "x"}]',
])  # fmt: skip
def test_what_an_image_says_of_volumes_is_checked(world, mapping):
    image = world.image(bdm_v2="True", block_device_mapping=mapping)
    body = {"name": "s", "flavorRef": world.flavor(), "imageRef": image, "networks": "none"}
    assert world.me.post("/servers", {"server": body}, version="compute 2.45").status_code == 400


def test_a_snapshot_of_another_project_makes_no_server(world, backed):
    image = create_image(world, backed).json()["image_id"]
    world.settle()
    kept = show_image(world, image)
    stolen = world.image(bdm_v2="True", block_device_mapping=kept["block_device_mapping"])
    body = {"name": "s", "flavorRef": world.flavor(), "imageRef": stolen, "networks": "none"}
    answer = world.caller("/compute/v2.1", project="p2").post("/servers", {"server": body}, version="compute 2.45")
    assert answer.status_code == 400 and "Snapshot" in answer.text


def test_quotas_of_snapshots_hold(world, backed):
    admin = world.caller(VOLUME, "admin")
    assert admin.put("/os-quota-sets/p1", {"quota_set": {"snapshots": 1}}).status_code == 200
    refused = create_image(world, backed)
    assert refused.status_code == 403 and "SnapshotLimitExceeded" in refused.text
    assert snapshots(world) == [] and world.show(backed)["OS-EXT-STS:task_state"] is None


def test_an_image_whose_snapshot_fails_is_gone(world, backed):
    failed: list[str] = []

    async def fail_once(saga: str, step: str, when: str, direction: int) -> None:
        if saga == "CreateSnapshot" and not failed:
            failed.append(saga)
            raise StepFailed("no room")

    world.probe = fail_once
    image = create_image(world, backed).json()["image_id"]
    world.settle()
    assert world.caller(IMAGE).get(f"/images/{image}").status_code == 404 and snapshots(world) == []
    shown = world.show(backed)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)


def test_a_server_that_is_deleted_meanwhile_takes_image_and_snapshots_with_it(world, backed):
    image = create_image(world, backed).json()["image_id"]
    world.me.delete(f"/servers/{backed}")
    world.settle()
    assert world.caller(IMAGE).get(f"/images/{image}").status_code == 404 and snapshots(world) == []


def test_there_is_no_backup_of_volumes(world, backed):
    body = {"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}}
    refused = world.me.post(f"/servers/{backed}/action", body)
    assert (refused.status_code, refused.json()["badRequest"]["message"]) == (400, "Backup is not supported for volume-backed instances.")


def test_images_of_others_are_no_backups(world):
    id = world.boot()
    body = {"createBackup": {"name": "mine", "backup_type": "daily", "rotation": 1}}
    world.me.post(f"/servers/{id}/action", body)
    world.settle()
    for project in ("p2", "p1"):
        owner = world.caller(IMAGE, project=project)
        false = {"image_type": "backup", "instance_uuid": id, "backup_type": "daily"} if project == "p2" else {"image_type": "snapshot"}
        assert (
            owner.post("/images", {"name": f"other-{project}", "disk_format": "raw", "container_format": "bare", **false}).status_code
            == 201
        )
    world.me.post(f"/servers/{id}/action", {"createBackup": body["createBackup"] | {"name": "newer"}})
    world.settle()
    names = lambda project: {one["name"] for one in world.caller(IMAGE, project=project).get("/images").json()["images"]}
    assert {"newer", "other-p1"} <= names("p1") and "mine" not in names("p1") and "other-p2" in names("p2")
