"""A server from nothing to nothing on simulated hosts, and how changing it is answered at each microversion."""

from __future__ import annotations

from cumulet.compute.drivers.simulated import Recipe
from cumulet.kernel.recipe import Trouble
from world import World


def test_boot_and_delete(world):
    id = world.boot()
    assert world.power(id) == "running"
    assert world.me.delete(f"/servers/{id}").status_code == 204
    world.settle()
    assert world.me.get(f"/servers/{id}").status_code == 404 and world.machines() == []


def test_a_change_is_answered_in_brief_until_2_75(world):
    id = world.boot()
    put = lambda version: world.me.put(f"/servers/{id}", {"server": {"name": "t"}}, version=version).json()["server"]
    brief, whole = put("compute 2.74"), put("compute 2.75")
    assert brief["name"] == whole["name"] == "t"
    assert "config_drive" not in brief and "key_name" not in brief and "OS-EXT-STS:vm_state" not in brief
    assert brief["addresses"]["private"][0].keys() == {"version", "addr"} and brief["locked_reason"] is None and brief["tags"] == []
    assert "locked" not in put("compute 2.8") and "OS-EXT-IPS:type" in whole["addresses"]["private"][0]
    assert whole.keys() == world.me.get(f"/servers/{id}", version="compute 2.75").json()["server"].keys()
    world.settle()


def test_a_rebuild_is_answered_with_what_it_may_change(world):
    id, image = world.boot(), world.image("other")

    def rebuild(version: str) -> dict:
        answer = world.me.post(f"/servers/{id}/action", {"rebuild": {"imageRef": image}}, version=version)
        assert answer.status_code == 202, answer.text
        world.settle()
        return answer.json()["server"]

    old, middle, new = rebuild("compute 2.53"), rebuild("compute 2.57"), rebuild("compute 2.98")
    assert "key_name" not in old and middle["key_name"] is None and middle["user_data"] is None and old["adminPass"]
    assert new["user_data"] is None and "OS-EXT-SRV-ATTR:user_data" not in new and new["image"]["properties"] == {}
    assert world.show(id)["image"]["id"] == image and world.power(id) == "running"


def test_a_bad_change_is_refused(world):
    id = world.boot()
    bad = {"accessIPv4": "nope", "accessIPv6": "10.0.0.1", "hostname": "-x", "description": "\0"}
    for name, value in [*bad.items(), ("name", " s"), ("name", "s\0"), ("name", "")]:
        answer = world.me.put(f"/servers/{id}", {"server": {name: value}}, version="compute 2.90")
        assert answer.status_code == 400 and name in answer.text, (name, value)


def test_host_names_have_domains_since_they_may(world):
    id, image, long = world.boot(), world.image("other"), "x" * 52 + "-guest.example.com"
    new = {"name": "n", "imageRef": image, "flavorRef": world.flavor(), "networks": "none"}
    for told in (long, "a.b", "a"):
        asked = (("PUT", f"/servers/{id}", {"server": {"hostname": told}}), ("POST", "/servers", {"server": new | {"hostname": told}}),
                 ("POST", f"/servers/{id}/action", {"rebuild": {"imageRef": image, "hostname": told}}))  # fmt: skip
        for method, path, body in asked:
            refused = world.me(method, path, body, version="compute 2.93")
            assert refused.status_code == 400 and "hostname" in refused.text, (path, told)
            taken = world.me(method, path, body, version="compute 2.94")
            assert taken.status_code in (200, 202), taken.text
            world.settle()
        assert world.me.get(f"/servers/{id}", version="compute 2.94").json()["server"]["OS-EXT-SRV-ATTR:hostname"] == told
    for told in ("x" * 256, "two.lines\n"):
        assert world.me.put(f"/servers/{id}", {"server": {"hostname": told}}, version="compute 2.94").status_code == 400


def test_what_needs_a_host_is_refused_without_one(world):
    id = world.boot(flavorRef=world.flavor("huge", disk=10**6), wait=False)
    assert world.show(id)["status"] == "ERROR" and "No valid host" in world.show(id)["fault"]["message"]
    for action in ({"reboot": {"type": "HARD"}}, {"rescue": None}, {"os-getConsoleOutput": {}}, {"os-stop": None}):
        assert world.me.post(f"/servers/{id}/action", action).status_code == 409, action
    assert world.me.delete(f"/servers/{id}").status_code == 204


def test_a_server_starts_whose_image_is_gone(world):
    image = world.image()
    id = world.boot(imageRef=image)
    world.me.post(f"/servers/{id}/action", {"os-stop": None})
    world.settle()
    assert world.caller("/image/v2", "admin").delete(f"/images/{image}").status_code == 204
    (world.root / "images" / image).unlink(missing_ok=True)
    world.me.post(f"/servers/{id}/action", {"os-start": None})
    world.settle()
    assert world.show(id)["status"] == "ACTIVE" and world.power(id) == "running"


def test_what_no_id_can_be_is_not_found(world):
    id = world.boot()
    for odd in ("%00", "nope", "x" * 300, "%F0%9F%98%80"):
        for path in (
            "",
            "/metadata",
            "/tags",
            "/ips",
            "/topology",
            "/diagnostics",
            "/os-security-groups",
            "/os-server-password",
            "/os-instance-actions",
        ):
            assert world.admin.get(f"/servers/{odd}{path}", version="compute 2.84").status_code == 404, (odd, path)
        for path in (f"metadata/{odd}", f"tags/{odd}", f"ips/{odd}", f"os-instance-actions/{odd}", f"migrations/{odd}"):
            assert world.admin.get(f"/servers/{id}/{path}", version="compute 2.84").status_code == 404, path
        assert world.admin.get(f"/os-console-auth-tokens/{odd}", version="compute 2.31").status_code == 404
        assert world.admin.get(f"/servers/{id}/os-instance-actions?marker={odd}", version="compute 2.84").status_code == 400
        assert world.me.post(f"/servers/{odd}/action", {"lock": None}).status_code == 404
        assert world.me.post(f"/servers/{id}/action", {"rescue": {"rescue_image_ref": "a\0"}}).status_code == 400
        assert world.me.post(f"/servers/{id}/action", {"addFixedIp": {"networkId": "a\0"}}).status_code in (400, 404)
        assert world.me.post(f"/servers/{id}/action", {"addFloatingIp": {"address": "a\0"}}).status_code in (400, 404)
    assert world.me.get(f"/servers/{id}/os-virtual-interfaces").status_code == 410


def test_resizes_under_way_count_against_quotas(world):
    world.admin.put("/os-quota-sets/p1", {"quota_set": {"cores": 4}})
    network = world.network()
    first, second = (world.boot(networks=[{"uuid": network}]) for _ in range(2))
    world.flavor("three", vcpus=3)
    resize = lambda id, flavor: world.me.post(f"/servers/{id}/action", {"resize": {"flavorRef": flavor}})
    cores = lambda: world.me.get("/limits").json()["limits"]["absolute"]["totalCoresUsed"]
    assert resize(first, "three").status_code == 202 and cores() == 4
    refused = resize(second, "three")
    assert refused.status_code == 403 and "Quota exceeded for cores: Requested 2, but already used 4 of 4 cores" in refused.text
    world.settle()
    assert world.me.post(f"/servers/{first}/action", {"revertResize": None}).status_code == 202 and cores() == 4
    world.settle()
    assert cores() == 2 and resize(second, "three").status_code == 202
    world.settle()
    assert world.show(second)["status"] == "VERIFY_RESIZE" and cores() == 4


def test_a_resize_that_fails_gives_its_quota_back(database_url, tmp_path):
    world = World(database_url, str(tmp_path), recipe=Recipe(calls={"stop": Trouble(nth=(1,))}))
    try:
        id = world.boot()
        world.flavor("three", vcpus=3)
        world.me.post(f"/servers/{id}/action", {"resize": {"flavorRef": "three"}})
        world.settle()
        absolute = world.me.get("/limits").json()["limits"]["absolute"]
        assert world.show(id)["status"] == "ACTIVE" and (absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 64)
        assert [one["status"] for one in world.admin.get("/os-migrations").json()["migrations"]] == ["error"]
    finally:
        world.close()


def test_a_resize_is_among_the_migrations(world):
    id = world.boot()
    world.flavor("three", vcpus=3)

    def statuses() -> list[str]:
        listed = world.admin.get(f"/os-migrations?instance_uuid={id}&migration_type=resize", version="compute 2.23").json()["migrations"]
        assert all((one["source_compute"], one["dest_compute"]) == ("host-1", "host-1") for one in listed)
        return [one["status"] for one in listed]

    def act(**body) -> list[str]:
        assert world.me.post(f"/servers/{id}/action", body).status_code in (202, 204)
        before = statuses()
        world.settle()
        return [before[-1], statuses()[-1]]

    assert act(resize={"flavorRef": "three"}) == ["migrating", "finished"]
    assert act(revertResize=None) == ["reverting", "reverted"]
    assert act(resize={"flavorRef": "three"}) == ["migrating", "finished"]
    assert act(confirmResize=None) == ["confirmed", "confirmed"]
    assert statuses() == ["reverted", "confirmed"]
