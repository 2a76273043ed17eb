"""What servers and volumes take over of an image's properties, and bring back to new images, under property protections."""

from __future__ import annotations

import pytest

from world import World

RULES = """
[^x_billing]
create = admin
read = @
update = admin
delete = admin
[^x_secret$]
create = admin
read = admin
update = admin
delete = admin
[^(hw_|my_)]
create = @
read = @
update = @
delete = @
"""


@pytest.fixture
def world(database_url: str, tmp_path):
    (tmp_path / "protections.conf").write_text(RULES)
    made = World(database_url, str(tmp_path), config={"image_property_protections": "protections.conf"})
    yield made
    made.close()


def refused(answer, name: str) -> None:
    assert answer.status_code == 403 and f"Attribute '{name}' is reserved." in answer.text, answer.text


def test_a_server_has_what_its_user_may_see_and_its_snapshot_what_they_may_make(world):
    server = world.boot(imageRef=world.image(x_secret="s", hw_disk_bus="virtio"))
    for name in ("x_billing_code", "unmatched"):
        refused(world.me.post(f"/servers/{server}/action", {"createImage": {"name": "n", "metadata": {name: "1"}}}), name)
        backup = {"name": "n", "backup_type": "daily", "rotation": 1, "metadata": {name: "1"}}
        refused(world.me.post(f"/servers/{server}/action", {"createBackup": backup}), name)
    answer = world.me.post(f"/servers/{server}/action", {"createImage": {"name": "n", "metadata": {"my_own": "1"}}})
    assert answer.status_code == 202
    world.settle()
    shown = world.caller("/image/v2", "admin").get(f"/images/{answer.headers['location'].rsplit('/', 1)[-1]}").json()
    assert shown["status"] == "active" and shown["my_own"] == "1" and shown["hw_disk_bus"] == "virtio" and "x_secret" not in shown


def test_a_volume_has_what_its_user_may_see_and_becomes_no_image_with_more_than_they_may_make(world):
    volume = world.volume(imageRef=world.image(x_billing_code="7", x_secret="s"))
    mine = world.caller("/volume/v3")
    metadata = mine.get(f"/volumes/{volume}").json()["volume"]["volume_image_metadata"]
    assert metadata["x_billing_code"] == "7" and "x_secret" not in metadata
    refused(mine.post(f"/volumes/{volume}/action", {"os-volume_upload_image": {"image_name": "n"}}), "x_billing_code")
    assert mine.get(f"/volumes/{volume}").json()["volume"]["status"] == "available"
