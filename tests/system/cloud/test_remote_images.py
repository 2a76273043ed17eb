"""A cloud on one machine whose images are in servers' stores: its host fetches them, for real guests and for volumes."""

from __future__ import annotations

import base64
import shutil
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from cumulet.image.drivers.shelf import QCOW2
from swift_server import PASSWORD, USER, swift_server

from .world import Cloud, eventually

CONTROL = "nobody"
SCRIPT = base64.b64encode(b"#!/bin/sh\necho up and running\n").decode()
SETTINGS = """
user = "{user}"

[[image_stores]]
type = "s3"
id = "s3"
default = true
endpoint = "{url}"
bucket = "images"
access_key = "test:tester"
secret_key_file = "secret"

[[image_stores]]
type = "swift"
id = "swift"
auth_url = "{url}/auth/v1.0"
auth = "v1"
user = "test:tester"
password_file = "secret"
container = "more-images"
"""


@pytest.fixture
def cloud(new_clouds: Callable[..., Cloud], guest_image: Path, tmp_path: Path) -> Iterator[Cloud]:
    """One that has its guest image in S3."""
    with swift_server(tmp_path / "swift") as url:
        login = httpx2.get(f"{url}/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": PASSWORD})
        made = httpx2.put(f"{login.headers['X-Storage-Url']}/images", headers={"X-Auth-Token": login.headers["X-Auth-Token"]})
        assert made.status_code == 201
        cloud = new_clouds(image=guest_image)
        secret = cloud.data / "secret"
        secret.touch(0o600)
        secret.write_text(PASSWORD)
        shutil.chown(secret, CONTROL)
        (cloud.data / "cumulet.toml").write_text(SETTINGS.format(user=CONTROL, url=url))
        cloud.up()
        yield cloud
        cloud.purge()


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def said(me: t.Any, id: str) -> bool:
    return "up and running" in (me.compute.get_server_console_output(id)["output"] or "")


def test_guests_and_volumes_are_made_of_images_in_remote_stores(cloud: Cloud, guest_image: Path) -> None:
    me, admin = cloud.connect(), cloud.connect("cumulet")
    guest = me.image.find_image("guest", ignore_missing=False)
    other = admin.image.create_image(name="other", disk_format="raw", container_format="bare")
    content = b"of another store".ljust(1 << 20, b".")
    sent = admin.image.put(f"/images/{other.id}/file", data=content, headers={"Content-Type": "application/octet-stream",
                                                                             "X-Image-Meta-Store": "swift"})  # fmt: skip
    assert sent.status_code == 204
    assert [admin.image.get(f"/images/{id}").json()["stores"] for id in (guest.id, other.id)] == ["s3", "swift"]
    assert files(cloud.data / "images") == [], "nothing is kept on this machine"

    flavor = admin.compute.create_flavor(name="small", ram=128, vcpus=1, disk=1)
    on_volume = {"boot_index": 0, "uuid": guest.id, "source_type": "image", "destination_type": "volume", "volume_size": 1,
                 "delete_on_termination": True}  # fmt: skip
    (cache,) = cloud.data.glob("agent/*/compute/images")
    for disk in ({"image_id": guest.id}, {"block_device_mapping": [on_volume]}):
        server = me.compute.create_server(name="s", flavor_id=flavor.id, networks="none", has_config_drive=True, user_data=SCRIPT, **disk)
        me.compute.wait_for_server(server, interval=0.2, wait=120)
        eventually("a guest's word", lambda id=server.id: said(me, id), 180)
        me.compute.delete_server(server)
        me.compute.wait_for_delete(server, interval=0.2, wait=60)
        assert [path.suffix for path in files(cache) if path.suffix != ".note"] == [QCOW2]

    volume = admin.block_storage.create_volume(size=1, image_id=other.id, name="v")
    admin.block_storage.wait_for_status(volume, "available", failures=["error"], interval=0.2, wait=60)
    with (cloud.data / "volumes/volumes" / f"{volume.id}.raw").open("rb") as file:
        assert file.read(len(content)) == content

    assert admin.image.delete("/cache").status_code == 204
    assert files(cache) == []


def test_a_server_says_that_the_store_does_not_give_its_image(cloud: Cloud) -> None:
    me = cloud.connect()
    guest = me.image.find_image("guest", ignore_missing=False)
    (cloud.data / "secret").write_text("another")
    server = me.compute.create_server(name="s", image_id=guest.id, flavor_id=me.compute.find_flavor("m1.tiny").id, networks="none")
    failed = eventually("a failed server", lambda: (seen := me.compute.get_server(server.id)).status == "ERROR" and seen, 120)
    assert f"image {guest.id} cannot be fetched" in failed.fault["message"] and "503" in failed.fault["message"]
