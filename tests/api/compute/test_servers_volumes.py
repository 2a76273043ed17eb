"""Servers and the volumes that they have: attached, made for them, shared, and gone with them."""

from __future__ import annotations

import asyncio

import pytest

VOLUME = "/volume/v3"


@pytest.fixture
def volumes(world):
    return world.caller(VOLUME)


def status(volumes, id: str) -> str:
    return volumes.get(f"/volumes/{id}").json()["volume"]["status"]


def attach(world, server: str, volume: str, **more) -> int:
    body = {"volumeAttachment": {"volumeId": volume, **more}}
    answer = world.me.post(f"/servers/{server}/os-volume_attachments", body, version="compute 2.79")
    world.settle()
    return answer.status_code


def shared_volume(world) -> str:
    kind = {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}
    world.caller(VOLUME, "admin").post("/types", {"volume_type": kind})
    return world.volume(volume_type="shared")


def test_a_volume_is_attached_to_a_server_once(world, volumes):
    server, volume = world.boot(), shared_volume(world)
    assert attach(world, server, volume) == 200 and attach(world, server, volume) == 400
    disk = {"source_type": "volume", "destination_type": "volume", "uuid": volume, "boot_index": -1}
    body = {"name": "s", "flavorRef": "f1", "imageRef": world.image(), "networks": "none", "block_device_mapping_v2": [disk, disk]}
    answer = world.me.post("/servers", {"server": body}, version="compute 2.79")
    assert answer.status_code == 400 and "already attached" in answer.text


def test_a_volume_that_an_administrator_declared_free_is_attached_to_its_server_no_second_time(world):
    server, volume = world.boot(), world.volume()
    assert attach(world, server, volume) == 200
    reset = {"os-reset_status": {"status": "available", "attach_status": "detached"}}
    assert world.caller(VOLUME, "admin").post(f"/volumes/{volume}/action", reset).status_code == 202
    assert attach(world, server, volume) == 400
    assert world.me.get(f"/servers/{server}/os-volume_attachments/{volume}").status_code == 200


def test_a_shared_volume_stays_while_another_server_has_it(world, volumes):
    first, second, volume = world.boot(), world.boot(networks=[]), shared_volume(world)
    for server in (first, second):
        assert attach(world, server, volume, delete_on_termination=True) == 200
    world.me.delete(f"/servers/{first}")
    world.settle()
    assert status(volumes, volume) == "in-use"
    world.me.delete(f"/servers/{second}")
    world.settle()
    assert volumes.get(f"/volumes/{volume}").status_code == 404


BUSY = {
    "ExtendVolume": lambda id: (f"/volumes/{id}/action", {"os-extend": {"new_size": 2}}),
    "UploadVolume": lambda id: (f"/volumes/{id}/action", {"os-volume_upload_image": {"image_name": "i", "force": True}}),
    "CreateBackup": lambda id: ("/backups", {"backup": {"volume_id": id, "force": True}}),
}
"""Work on a volume that a server has, and the request that begins it."""


@pytest.mark.parametrize("saga", BUSY)
def test_a_volume_that_loses_its_server_meanwhile_is_free_afterwards(world, volumes, saga):
    server, volume = world.boot(), world.volume()
    attach(world, server, volume)
    gone = asyncio.Event()

    async def wait_for_the_end_of_the_server(of: str, step: str, when: str, direction: int) -> None:
        if (of, step) == ("DeleteServer", "end"):
            gone.set()
        elif of == saga:
            await gone.wait()

    world.probe = wait_for_the_end_of_the_server
    assert volumes.post(*BUSY[saga](volume), version="volume 3.42").status_code == 202
    world.me.delete(f"/servers/{server}")
    world.settle()
    assert status(volumes, volume) == "available" and volumes.delete(f"/volumes/{volume}").status_code == 202


def test_listing_a_page_of_them(world):
    server = world.boot()
    for _ in range(3):
        attach(world, server, world.volume())
    listed = lambda query: world.me.get(f"/servers/{server}/os-volume_attachments?{query}")
    every = [one["id"] for one in listed("").json()["volumeAttachments"]]
    assert [one["id"] for one in listed("offset=1&limit=1").json()["volumeAttachments"]] == every[1:2]
    assert listed("offset=-1").status_code == listed("limit=-1").status_code == 400
