"""What projects may have of images, by the limits of identity."""

from __future__ import annotations

import concurrent.futures as cf

import pytest
from image_imports import DIRECT, ask, fetch, stage, tasks

from cumulet.identity.registered_limits import registered_limits
from cumulet.identity.services import services as identity_services
from cumulet.image import locations
from cumulet.kernel import services
from cumulet.kernel.config_imports import ImageImport
from cumulet.kernel.testing.cloud import Cloud
from web_server import web_server
from world import World

MIB = bytes(1 << 20)
OCTETS = {"Content-Type": "application/octet-stream"}


class Limited(Cloud):
    """A domain with two projects, `mine` and `other`, and the service `image` to limit them in."""

    def __init__(self, url: str, data: str):
        super().__init__(url, data, services.load("identity", "image"))
        self.identity = self.caller("/identity/v3", "admin")
        self.service = self.made("/services", "service", type="image", name="glance")
        self.made("/regions", "region", id="RegionOne")
        self.domain = self.made("/domains", "domain", name="d")
        self.mine, self.other = (self.made("/projects", "project", name=name, domain_id=self.domain) for name in ("mine", "other"))

    def made(self, path: str, kind: str, **values: object) -> str:
        answer = self.identity.post(path, {kind: values})
        assert answer.status_code == 201, answer.text
        return answer.json()[kind]["id"]

    def register(self, name: str, default: int, **more: str) -> None:
        body = {"service_id": self.service, "resource_name": name, "default_limit": default, **more}
        assert self.identity.post("/registered_limits", {"registered_limits": [body]}).status_code == 201

    def limit(self, name: str, amount: int, **whose: str) -> None:
        body = {"service_id": self.service, "resource_name": name, "resource_limit": amount, **whose}
        answer = self.identity.post("/limits", {"limits": [body]})
        assert answer.status_code == 201, answer.text


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Limited(database_url, str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def me(cloud: Limited):
    return cloud.caller("/image/v2", project=cloud.mine)


@pytest.fixture
def other(cloud: Limited):
    return cloud.caller("/image/v2", project=cloud.other)


def create(who, **values: object):
    return who.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare", **values})


def image(who, **values: object) -> str:
    answer = create(who, **values)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def upload(who, id: str, data: bytes, **headers: str):
    return who("PUT", f"/images/{id}/file", content=data, headers=OCTETS | headers)


def upload_unannounced(who, id: str, data: bytes):
    async def chunks():
        yield data

    return who("PUT", f"/images/{id}/file", content=chunks(), headers=OCTETS)


def refused(answer, project: str, told: str) -> None:
    assert answer.status_code == 413, answer.text
    assert f"Project {project} is over a limit for [{told}]" in answer.text


def test_nothing_is_limited_where_nothing_is_registered(me):
    assert me.get("/info/usage").json() == {"usage": {}}
    assert upload(me, image(me), MIB).status_code == 204


def test_how_many_images(cloud, me, other):
    cloud.register("image_count_total", 1)
    first = image(me)
    refused(create(me), cloud.mine, "Resource image_count_total is over limit of 1 due to current usage 1 and delta 1")
    assert create(other).status_code == 201
    cloud.limit("image_count_total", 2, project_id=cloud.mine)
    second = image(me)
    assert create(me).status_code == 413
    me.delete(f"/images/{first}")
    image(me)
    assert me.get("/info/usage").json()["usage"] == {"image_count_total": {"usage": 2, "limit": 2}}
    assert me.get(f"/images/{second}").status_code == 200


def test_it_is_the_owner_who_is_limited(cloud, me, admin):
    cloud.register("image_count_total", 1)
    image(admin, owner=cloud.mine)
    refused(create(admin, owner=cloud.mine), cloud.mine, "Resource image_count_total is over limit of 1 due to current usage 1 and delta 1")
    assert create(admin).status_code == 201


def test_how_much_data_by_what_an_upload_says_it_brings(cloud, me):
    cloud.register("image_size_total", 2)
    first, second = image(me), image(me)
    refused(upload(me, first, 3 * MIB), cloud.mine, "Resource image_size_total is over limit of 2 due to current usage 0 and delta 3")
    assert me.get(f"/images/{first}").json()["status"] == "queued"
    assert upload(me, first, 2 * MIB).status_code == 204
    assert me.get("/info/usage").json()["usage"] == {"image_size_total": {"usage": 2, "limit": 2}}
    assert upload(me, second, MIB).status_code == 413
    me.delete(f"/images/{first}")
    assert upload(me, second, MIB).status_code == 204


def test_what_does_not_say_how_much_it_brings_may_end_above_and_is_the_last(cloud, me):
    cloud.register("image_size_total", 1)
    assert upload_unannounced(me, image(me), MIB).status_code == 204
    assert upload_unannounced(me, image(me), MIB).status_code == 204
    answer = upload_unannounced(me, image(me), b"x")
    refused(answer, cloud.mine, "Resource image_size_total is over limit of 1 due to current usage 2 and delta 0")


def test_uploads_at_once_do_not_all_pass(cloud, me):
    cloud.register("image_size_total", 2)
    cloud.register("image_count_uploading", 10)
    ids = [image(me) for _ in range(6)]
    with cf.ThreadPoolExecutor(6) as pool:
        answers = [answer.status_code for answer in pool.map(lambda id: upload(me, id, MIB), ids)]
    assert sorted(answers) == [204, 204, 413, 413, 413, 413]
    assert sorted(me.get(f"/images/{id}").json()["status"] for id in ids) == ["active"] * 2 + ["queued"] * 4


def test_how_many_uploads_at_once(cloud, me):
    cloud.register("image_count_uploading", 1)
    slow, fast, status = image(me), image(me), []

    async def chunks():
        answer = await cloud._client.put(f"/image/v2/images/{fast}/file", content=MIB, headers=OCTETS | {"X-Auth-Token": me.token})
        status.append(answer)
        yield MIB

    assert me("PUT", f"/images/{slow}/file", content=chunks(), headers=OCTETS).status_code == 204
    refused(status[0], cloud.mine, "Resource image_count_uploading is over limit of 1 due to current usage 2 and delta 0")
    assert me.get(f"/images/{fast}").json()["status"] == "queued"
    assert upload(me, fast, MIB).status_code == 204


def test_creations_at_once_do_not_all_pass(cloud, me):
    cloud.register("image_count_total", 3)
    with cf.ThreadPoolExecutor(8) as pool:
        answers = [answer.status_code for answer in pool.map(lambda _: create(me), range(8))]
    assert sorted(answers) == [201] * 3 + [413] * 5


def test_the_limit_of_this_region_goes_before_that_of_all(cloud, me):
    cloud.made("/regions", "region", id="elsewhere")
    cloud.register("image_count_total", 5)
    cloud.register("image_count_total", 2, region_id="RegionOne")
    cloud.register("image_count_total", 9, region_id="elsewhere")
    cloud.register("image_count_uploading", -1)
    cloud.register("gold_bars", 3)
    image(me)
    usage = me.get("/info/usage").json()["usage"]
    assert usage == {"image_count_total": {"usage": 1, "limit": 2}, "image_count_uploading": {"usage": 0, "limit": -1}}


def test_projects_of_a_domain_share_its_limit_by_strict_two_level(cloud, me, other):
    cloud.runtime.config.limit_model = "strict_two_level"
    cloud.register("image_count_total", 2)
    cloud.limit("image_count_total", 3, domain_id=cloud.domain)
    for who in (me, me, other):
        image(who)
    refused(create(me), cloud.mine, "Resource image_count_total is over limit of 2 due to current usage 2 and delta 1, "
            "Resource image_count_total is over limit of 3 due to current usage 3 and delta 1")  # fmt: skip
    refused(create(other), cloud.other, "Resource image_count_total is over limit of 3 due to current usage 3 and delta 1")
    assert other.get("/info/usage").json()["usage"] == {"image_count_total": {"usage": 1, "limit": 2}}
    cloud.runtime.config.limit_model = "flat"
    assert create(other).status_code == 201


@pytest.mark.parametrize(("told", "message"), [
    ("abc", "Invalid or missing image size in request headers."), ("-1", "Invalid or missing image size in request headers."),
    ("9" * 30, "Invalid or missing image size in request headers."), ("²", "Invalid or missing image size in request headers."),
    ("2", "Size exceeds: expected 2 bytes, got 3 bytes"), ("4", "Size mismatch: expected 4 bytes, got 3 bytes"),
])  # fmt: skip
def test_an_upload_that_is_not_as_long_as_it_said(me, told, message):
    id = image(me)
    answer = me("PUT", f"/images/{id}/file", content=b"xyz", headers={**OCTETS, "x-openstack-image-size": told.encode()})
    assert answer.status_code == 400 and message in answer.text
    assert me.get(f"/images/{id}").json()["status"] == "queued"
    assert upload(me, id, b"xyz", **{"x-openstack-image-size": "3"}).status_code == 204


def test_a_server_or_a_volume_becomes_no_image_more_than_its_project_may_have(database_url, tmp_path):
    world = World(database_url, str(tmp_path))
    try:
        server, volume = world.boot(), world.volume(imageRef=world.image())
        world.transact(lambda tx: tx.insert(identity_services, id="s", type="image", name="glance", enabled=True, extra={}))
        world.transact(lambda tx: tx.insert(registered_limits, id="r", service_id="s", resource_name="image_count_total", default_limit=0))
        for answer in (
            world.me.post(f"/servers/{server}/action", {"createImage": {"name": "n"}}),
            world.me.post(f"/servers/{server}/action", {"shelve": None}),
            world.caller("/volume/v3").post(f"/volumes/{volume}/action", {"os-volume_upload_image": {"image_name": "n"}}),
        ):
            assert answer.status_code == 403 and "Project p1 is over a limit for [Resource image_count_total" in answer.text
        assert world.show(server)["status"] == "ACTIVE"
        assert {one["name"] for one in world.caller("/image/v2", "admin").get("/images").json()["images"]} == {"tiny"}
    finally:
        world.close()


def test_how_much_is_staged(cloud, me):
    cloud.register("image_stage_total", 1)
    cloud.register("image_count_uploading", 2)
    first, second, third = image(me), image(me), image(me)
    refused(stage(me, first, MIB + MIB), cloud.mine, "Resource image_stage_total is over limit of 1 due to current usage 0 and delta 2")
    assert me.get(f"/images/{first}").json()["status"] == "queued"
    assert stage(me, first, MIB).status_code == stage(me, second, b"little").status_code == 204
    refused(stage(me, third, b"little"), cloud.mine, "Resource image_count_uploading is over limit of 2 due to current usage 3 and delta 0")
    ask(me, first, DIRECT)
    cloud.settle()
    assert stage(me, third, b"little").status_code == 204


def test_how_much_is_imported(cloud, me):
    cloud.register("image_size_total", 1)
    first, second = image(me), image(me)
    stage(me, first, MIB + MIB)
    refused(ask(me, first, DIRECT), cloud.mine, "Resource image_size_total is over limit of 1 due to current usage 0 and delta 2")
    assert me.get(f"/images/{first}").json()["status"] == "uploading"
    stage(me, second, MIB)
    assert ask(me, second, DIRECT).status_code == 202
    cloud.settle()
    assert me.get(f"/images/{second}").json()["status"] == "active"


def test_what_an_import_turns_out_to_bring_is_limited_too(cloud, me):
    cloud.register("image_size_total", 1)
    id = image(me)
    cloud.runtime.config.image_import = ImageImport(allowed_ports=[], allowed_networks=["127.0.0.1"])
    with web_server() as web:
        fetch(me, id, web.serve("/disk", MIB + MIB))
        cloud.settle()
    assert me.get(f"/images/{id}").json()["status"] == "queued"
    assert "over limit of 1 due to current usage 0 and delta 2" in tasks(me, id)[0]["message"]


def test_a_location_that_was_refused_is_no_copy(cloud: Limited, me):
    cloud.register("image_size_total", 1)
    refused = image(me)
    cloud.transact(lambda tx: locations.refuse(tx, refused, "file", "http://example.org/other"))
    assert upload(me, refused, MIB).status_code == 204
    assert me.get("/info/usage").json()["usage"]["image_size_total"] == {"usage": 1, "limit": 1}
