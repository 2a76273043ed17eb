"""Importing from another cloud that the catalog names."""

from __future__ import annotations

import hashlib
import json

import pytest
from image_imports import DATA, ask, left, make, tasks

from cumulet.kernel.sealing import box
from cumulet.kernel.work.tasks import tasks as work
from web_server import web_server

SOURCE = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def cloud(database_url: str, tmp_path, web):
    """Its catalog has another cloud's image service in the region `far`."""
    made = make(database_url, tmp_path, "identity", "image")
    admin = made.caller("/identity/v3", "admin", system=True)
    admin.post("/regions", {"region": {"id": "far"}})
    service = admin.post("/services", {"service": {"type": "image", "name": "glance"}}).json()["service"]["id"]
    endpoint = {"service_id": service, "region_id": "far", "interface": "public", "url": web.url}
    assert admin.post("/endpoints", {"endpoint": endpoint}).status_code == 201
    yield made
    made.close()


def offer(web, data: bytes = DATA, **values) -> None:
    record = {
        "status": "active", "disk_format": "raw", "container_format": "bare", "size": len(DATA), "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(DATA).hexdigest(), "hw_cpu_cores": "5", "trait:X": "required", "os_distro": "rhel", "speed": "fast",
    } | values  # fmt: skip
    web.serve(f"/v2/images/{SOURCE}", json.dumps(record).encode())
    web.serve(f"/v2/images/{SOURCE}/file", data)


def bring(cloud, me, id: str, **more) -> dict:
    method = {"name": "glance-download", "glance_image_id": SOURCE, "glance_region": "Far"} | more
    assert ask(me, id, {"method": method}).status_code == 202
    cloud.settle()
    return tasks(me, id)[-1]


@pytest.fixture
def image(me) -> str:
    body = {"disk_format": "iso", "container_format": "ovf", "hw_cpu_cores": "1", "mine": "x"}
    return me.post("/images", body).json()["id"]


def test_an_image_comes_with_its_formats_and_some_of_its_properties(cloud, me, image, web):
    offer(web)
    assert bring(cloud, me, image)["status"] == "success"
    shown = me.get(f"/images/{image}").json()
    assert (shown["status"], shown["disk_format"], shown["container_format"]) == ("active", "raw", "bare")
    assert (shown["hw_cpu_cores"], shown["trait:X"], shown["os_distro"], shown["mine"]) == ("5", "required", "rhel", "x")
    assert "speed" not in shown and me.get(f"/images/{image}/file").content == DATA


def test_the_callers_token_asks_and_is_kept_from_others(cloud, me, image, web):
    offer(web)
    bring(cloud, me, image)
    assert [headers["X-Auth-Token"] for _, headers in web.asked] == [me.token] * 2
    [row] = cloud.transact(lambda tx: tx.rows(work))
    assert me.token not in json.dumps(row.state) and me.token not in json.dumps(tasks(me, image))
    assert box(cloud.runtime.config.root / "control" / "imports.key").open(row.state["sealed"].encode()).decode() == me.token


@pytest.mark.parametrize(("values", "words"), [
    ({"status": "queued"}, "should be active instead of queued"), ({"size": 5}, "its size or digest is another"),
    ({"os_hash_value": "0" * 128}, "its size or digest is another"), ({"disk_format": None}, "not one that can be used"),
    ({"disk_format": "odd"}, "does not know"), ({"data": DATA[:-1] + b"x"}, "digest is another"),
])  # fmt: skip
def test_an_image_that_is_not_as_it_is_said_to_be_stays_queued_and_as_it_was(cloud, me, image, web, values, words):
    offer(web, **values)
    task = bring(cloud, me, image)
    shown = me.get(f"/images/{image}").json()
    assert task["status"] == "failure" and words in task["message"], task
    assert (shown["status"], shown["disk_format"], shown["hw_cpu_cores"]) == ("queued", "iso", "1") and "os_distro" not in shown
    assert left(cloud) == {"file": 0, "staging": 0}


def test_a_cloud_or_an_image_that_is_not_there(cloud, me, image, web):
    assert "answered 404" in bring(cloud, me, image)["message"]
    assert "no public endpoint of an image service in region near" in bring(cloud, me, image, glance_region="near")["message"]
    assert "no odd endpoint" in bring(cloud, me, image, glance_service_interface="odd")["message"]
    assert me.get(f"/images/{image}").json()["status"] == "queued"
