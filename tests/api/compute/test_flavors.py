from __future__ import annotations

import pytest

TINY = {"name": "tiny", "ram": 64, "vcpus": 1, "disk": 1}


@pytest.fixture
def admin(cloud):
    return cloud.caller("/compute/v2.1", "admin")


def make(admin, version: str | None = None, **fields):
    return admin.post("/flavors", {"flavor": TINY | {"id": fields.get("name", "tiny")} | fields}, version=version)


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [flavor["id"] for flavor in answer.json()["flavors"]]


def test_a_flavor_as_each_microversion_shows_it(admin):
    old = make(admin, **{"OS-FLV-EXT-DATA:ephemeral": 2, "swap": "0", "ram": "128"}).json()["flavor"]
    assert old["OS-FLV-EXT-DATA:ephemeral"] == 2 and old["swap"] == "" and old["ram"] == 128 and old["rxtx_factor"] == 1.0
    assert old["OS-FLV-DISABLED:disabled"] is False and old["os-flavor-access:is_public"] is True and "description" not in old
    assert [link["rel"] for link in old["links"]] == ["self", "bookmark"] and old["links"][0][
        "href"
    ] == "http://cloud/compute/v2.1/flavors/tiny"
    show = lambda version: admin.get("/flavors/tiny", version=f"compute {version}").json()["flavor"]
    assert show("2.55")["description"] is None and "extra_specs" not in show("2.60") and show("2.61")["extra_specs"] == {}
    assert show("2.75")["swap"] == 0 and "rxtx_factor" not in show("2.102") and "OS-FLV-DISABLED:disabled" not in show("2.102")
    assert admin.put("/flavors/tiny", {"flavor": {"description": "x"}}).status_code == 404
    changed = admin.put("/flavors/tiny", {"flavor": {"description": "små"}}, version="compute 2.55")
    assert changed.json()["flavor"]["description"] == "små"


def test_ids_and_names_are_taken_once_and_ids_may_be_left_to_the_cloud(admin):
    assert make(admin, name="a", id=7).json()["flavor"]["id"] == "7"
    assert make(admin, name="a", id="8").status_code == 409 and make(admin, name="b", id="7").status_code == 409
    assert len(make(admin, name="c", id=None).json()["flavor"]["id"]) == 36


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": " a"}, {"name": "a\0", "id": "n"}, {"name": "x" * 256}, {"ram": 0}, {"ram": -1}, {"ram": "x"}, {"ram": 1 << 40}, {"ram": "9999999999"},
        {"vcpus": 0}, {"disk": -1}, {"id": " x"}, {"id": "a/b"}, {"id": ""}, {"swap": -1}, {"rxtx_factor": 0}, {"rxtx_factor": "0"}, {"extra": 1},
        {"os-flavor-access:is_public": "maybe"}, {"description": "x"},
    ],
)  # fmt: skip
def test_a_bad_flavor_is_refused(admin, wrong):
    answer = make(admin, **wrong)
    assert answer.status_code == 400 and next(iter(wrong)) in answer.json()["badRequest"]["message"]


def test_lists_are_sorted_filtered_and_paged(admin, me):
    for i, (ram, disk, public) in enumerate([(64, 1, True), (512, 5, True), (256, 9, False), (1024, 0, True)]):
        make(admin, name=f"f{i}", ram=ram, disk=disk, **{"os-flavor-access:is_public": public})
    assert ids(me.get("/flavors")) == ["f0", "f1", "f3"] == ids(me.get("/flavors/detail?is_public=none"))
    assert ids(admin.get("/flavors")) == ["f0", "f1", "f3"] and ids(admin.get("/flavors?is_public=False")) == ["f2"]
    assert ids(admin.get("/flavors?is_public=None")) == ["f0", "f1", "f2", "f3"]
    assert ids(me.get("/flavors?minRam=500")) == ["f1", "f3"] and ids(me.get("/flavors?minRam=500&minDisk=1")) == ["f1"]
    assert ids(me.get("/flavors?sort_key=memory_mb&sort_dir=desc")) == ["f3", "f1", "f0"]
    page = me.get("/flavors?limit=2")
    assert ids(page) == ["f0", "f1"] and "marker=f1" in page.json()["flavors_links"][0]["href"]
    assert ids(me.get("/flavors?limit=2&marker=f1")) == ["f3"] and ids(me.get("/flavors?name=f1", version="compute 2.102")) == ["f1"]
    for query in ("minRam=x", "minDisk=x", "marker=nope", "sort_key=nope", "sort_dir=up", "limit=-1", "limit=x"):
        assert me.get(f"/flavors?{query}").status_code == 400, query
    assert admin.get("/flavors?is_public=perhaps").status_code == 400


def test_only_administrators_make_and_delete(admin, me):
    assert me.post("/flavors", {"flavor": TINY}).status_code == 403
    make(admin)
    assert me.delete("/flavors/tiny").status_code == 403 and admin.delete("/flavors/tiny").status_code == 202
    assert admin.get("/flavors/tiny").status_code == 404 and admin.delete("/flavors/tiny").status_code == 404


def test_access_to_a_flavor_that_is_not_public(cloud, admin, me):
    make(admin, name="own", **{"os-flavor-access:is_public": False})
    assert me.get("/flavors/own").status_code == 404
    act = lambda name, tenant="p1", **more: admin.post("/flavors/own/action", {name: {"tenant": tenant}}, **more)
    assert act("addTenantAccess").json() == {"flavor_access": [{"flavor_id": "own", "tenant_id": "p1"}]}
    assert act("addTenantAccess").status_code == 409 and act("addTenantAccess", "").status_code == 400
    assert me.get("/flavors/own").status_code == 200 and ids(me.get("/flavors")) == ["own"]
    assert cloud.caller("/compute/v2.1", project="p2").get("/flavors/own").status_code == 404
    assert me.get("/flavors/own/os-flavor-access").status_code == 403
    assert admin.get("/flavors/own/os-flavor-access").json()["flavor_access"][0]["tenant_id"] == "p1"
    assert act("removeTenantAccess").json() == {"flavor_access": []} and act("removeTenantAccess").status_code == 404
    make(admin, name="all")
    assert admin.get("/flavors/all/os-flavor-access").status_code == 404
    public = admin.post("/flavors/all/action", {"addTenantAccess": {"tenant": "p1"}}, version="compute 2.7")
    assert public.status_code == 409


def test_extra_specs(admin, me):
    make(admin)
    path = "/flavors/tiny/os-extra_specs"
    assert admin.post(path, {"extra_specs": {"a": "1", "b": 2}}).json() == {"extra_specs": {"a": "1", "b": 2}}
    assert me.get(path).json() == {"extra_specs": {"a": "1", "b": "2"}} and me.get(path + "/b").json() == {"b": "2"}
    assert admin.put(path + "/a", {"a": "3"}).json() == {"a": "3"} and admin.put(path + "/a", {"b": "3"}).status_code == 400
    assert admin.put(path + "/a", {"a": "3", "b": "1"}).status_code == 400 and me.post(path, {"extra_specs": {}}).status_code == 403
    assert admin.delete(path + "/a").status_code == 200 and admin.delete(path + "/a").status_code == 404
    assert me.get(path + "/a").status_code == 404 and me.get("/flavors/nope/os-extra_specs").status_code == 404
    for wrong in ({"é": "1"}, {"a": "x" * 256}, {"": "1"}, {"a": None}, {"a": 10**300}, {"a": "\0"}):
        assert admin.post(path, {"extra_specs": wrong}).status_code == 400, wrong
    assert me.get("/flavors/tiny", version="compute 2.61").json()["flavor"]["extra_specs"] == {"b": "2"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("hw:cpu_policy", "dedicated", "mine"), ("hw:numa_nodes", "2", "0"), ("hw:boot_menu", "yes", "maybe"), ("quota:cpu_quota", "-1", "x"),
        ("resources:VCPU", "2", "two"), ("resources_X:CUSTOM_A", "2", "two"), ("trait:HW_CPU_X86_AVX2", "required", "wanted"),
        ("hw:cpu_dedicated_mask", "0-3,^1", "a"), ("hw:mem_page_size", "2MB", "2 MB"),
    ],
)  # fmt: skip
def test_known_extra_specs_are_checked_from_2_86(admin, name, good, bad):
    make(admin)
    post = lambda spec, value, version: admin.post(
        "/flavors/tiny/os-extra_specs", {"extra_specs": {spec: value}}, version=f"compute {version}"
    )
    assert post(name, good, "2.86").status_code == 200 and post(name, bad, "2.85").status_code == 200
    refused = post(name, bad, "2.86")
    assert refused.status_code == 400 and name in refused.json()["badRequest"]["message"]
    assert post(name + "_nope", "1", "2.86").status_code == 400 and post("mine:" + "x", "1", "2.86").status_code == 200
