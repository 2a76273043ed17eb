"""The image service's images as the compute API shows them until 2.35."""

from __future__ import annotations

import pytest

from cumulet.image.images import images
from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud

NOWHERE = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), services.load("compute", "image"))
    yield made
    made.close()


def add(cloud, name: str, **values) -> str:
    row = {
        "owner": "p1",
        "status": "active",
        "visibility": "private",
        "size": 5,
        "properties": {},
        "tags": [],
        "min_disk": 1,
        "min_ram": 64,
    }
    return cloud.transact(lambda tx: tx.insert(images, name=name, **row | values)).id


def names(answer) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {image["name"] for image in answer.json()["images"]}


def test_an_image_is_shown_in_older_words(cloud, me):
    id = add(cloud, "snap", status="saving", properties={"instance_uuid": NOWHERE})
    shown = me.get(f"/images/{id}").json()["image"]
    assert (shown["status"], shown["progress"], shown["minDisk"], shown["minRam"], shown["OS-EXT-IMG-SIZE:size"]) == (
        "SAVING",
        50,
        1,
        64,
        5,
    )
    assert shown["server"]["id"] == NOWHERE and [link["rel"] for link in shown["links"]] == ["self", "bookmark", "alternate"]
    assert me.get(f"/images/{id}", version="compute 2.36").status_code == 404 == me.get(f"/images/{NOWHERE}").status_code
    assert cloud.caller("/compute/v2.1", project="p2").get(f"/images/{id}").status_code == 404


def test_lists_are_filtered_and_paged(cloud, me):
    add(cloud, "mine", properties={"instance_uuid": NOWHERE, "image_type": "snapshot"})
    add(cloud, "queued", status="queued")
    add(cloud, "public", owner="p2", visibility="public")
    add(cloud, "theirs", owner="p2")
    assert names(me.get("/images")) == {"mine", "queued", "public"} == names(me.get("/images/detail"))
    assert names(me.get("/images?name=mine")) == {"mine"} == names(me.get(f"/images/detail?server=http://x/servers/{NOWHERE}"))
    assert names(me.get("/images?status=saving")) == {"queued"} and names(me.get("/images?type=snapshot")) == {"mine"}
    assert names(me.get("/images?changes-since=2999-01-01T00:00:00Z")) == set()
    page = me.get("/images?limit=1").json()
    assert names(me.get(page["images_links"][0]["href"].split("/v2.1")[1])).isdisjoint({page["images"][0]["name"]})
    for query in ("limit=-1", "marker=nope", "changes-since=x"):
        assert me.get(f"/images?{query}").status_code == 400, query


def test_metadata(cloud, me):
    path = f"/images/{add(cloud, 'i', properties={'a': '1'})}/metadata"
    assert me.post(path, {"metadata": {"b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}} == me.get(path).json()
    assert me.put(path + "/a", {"meta": {"a": "3"}}).json() == {"meta": {"a": "3"}} == me.get(path + "/a").json()
    assert me.put(path + "/a", {"meta": {"b": "3"}}).status_code == 400 and me.post(path, {"metadata": {"é": "1"}}).status_code == 400
    assert me.delete(path + "/a").status_code == 204 and me.delete(path + "/a").status_code == 404 == me.get(path + "/a").status_code
    assert me.put(path, {"metadata": {"c": "4"}}).json() == {"metadata": {"c": "4"}}


def test_others_public_images_are_seen_and_left_alone(cloud, me):
    id = add(cloud, "public", owner="p2", visibility="public")
    assert me.get(f"/images/{id}").status_code == 200
    assert me.delete(f"/images/{id}").status_code == 403 == me.post(f"/images/{id}/metadata", {"metadata": {"a": "1"}}).status_code
    mine = add(cloud, "mine")
    assert me.delete(f"/images/{mine}").status_code == 204 and me.delete(f"/images/{mine}").status_code == 404
