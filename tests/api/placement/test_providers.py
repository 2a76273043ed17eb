from __future__ import annotations

import pytest

AGGREGATE = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"


def names(answer) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {one["name"] for one in answer.json()["resource_providers"]}


def error(answer) -> dict:
    return answer.json()["errors"][0]


def test_root_tells_versions_to_anyone(cloud):
    for path in ("", "/"):
        (version,) = cloud.stranger("/placement").get(path).json()["versions"]
        assert (version["min_version"], version["max_version"], version["id"]) == ("1.0", "1.39", "v1.0")


def test_a_provider_is_made_shown_renamed_and_deleted(api):
    made = api("POST", "/resource_providers", {"name": "h1"}, at="1.0")
    assert made.status_code == 201 and made.content == b""
    path = made.headers["location"].removeprefix("/placement")
    old = api("GET", path, at="1.0").json()
    assert old["generation"] == 0 and {link["rel"] for link in old["links"]} == {"self", "inventories", "usages"}
    new = api("GET", path)
    assert new.json()["root_provider_uuid"] == new.json()["uuid"] and new.json()["parent_provider_uuid"] is None
    assert new.headers["last-modified"].endswith("GMT") and new.headers["cache-control"] == "no-cache"
    assert api("PUT", path, {"name": "h2"}).json()["name"] == "h2"
    assert api("DELETE", path).status_code == 204 and api("GET", path).status_code == 404


def test_names_and_ids_are_taken_once(api):
    id = api("POST", "/resource_providers", {"name": "h"}).json()["uuid"]
    again = api("POST", "/resource_providers", {"name": "h"})
    assert again.status_code == 409 and error(again)["code"] == "placement.duplicate_name" and "h already exists" in error(again)["detail"]
    same_id = api("POST", "/resource_providers", {"name": "i", "uuid": id.replace("-", "")})
    assert same_id.status_code == 409 and id in error(same_id)["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": "a\0"}, {"name": "a", "uuid": "no"}, {"name": 1}, {"name": "a", "x": 1}]
)
def test_a_bad_provider_is_refused(api, body):
    assert api("POST", "/resource_providers", body).status_code == 400


def test_trees_hold_together(api, provider):
    root = provider("root")
    child = provider("child", parent=root)
    leaf = provider("leaf", parent=child)
    assert api("GET", f"/resource_providers/{leaf}").json()["root_provider_uuid"] == root
    assert names(api("GET", f"/resource_providers?in_tree={leaf}")) == {"root", "child", "leaf"}
    refused = api("DELETE", f"/resource_providers/{root}")
    assert refused.status_code == 409 and error(refused)["code"] == "placement.resource_provider.cannot_delete_parent"
    loop = api("PUT", f"/resource_providers/{root}", {"name": "root", "parent_provider_uuid": leaf})
    assert loop.status_code == 400 and "loop" in error(loop)["detail"]
    early = api("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": None}, at="1.36")
    assert early.status_code == 400 and "un-parenting" in error(early)["detail"]
    assert api("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": None}).status_code == 200
    assert api("GET", f"/resource_providers/{leaf}").json()["root_provider_uuid"] == child
    missing = api("POST", "/resource_providers", {"name": "x", "parent_provider_uuid": AGGREGATE})
    assert missing.status_code == 400 and "does not exist" in error(missing)["detail"]


def test_filters(api, provider):
    provider("big", {"VCPU": 8}, traits=["HW_CPU_X86_AVX2", "STORAGE_DISK_SSD"], aggregates=[AGGREGATE])
    provider("small", {"VCPU": 2}, traits=["STORAGE_DISK_HDD"], aggregates=[AGGREGATE, OTHER])
    provider("bare")
    ask = lambda query, at="1.39": names(api("GET", f"/resource_providers?{query}", at=at))
    assert ask("resources=VCPU:4") == {"big"} and ask("name=small") == {"small"}
    assert ask("required=!HW_CPU_X86_AVX2") == {"small", "bare"} and ask("required=HW_CPU_X86_AVX2") == {"big"}
    assert ask("required=in:STORAGE_DISK_SSD,STORAGE_DISK_HDD") == {"big", "small"}
    assert ask("required=in:STORAGE_DISK_SSD,STORAGE_DISK_HDD&required=!HW_CPU_X86_AVX2") == {"small"}
    assert ask(f"member_of={AGGREGATE}") == {"big", "small"} and ask(f"member_of=!{OTHER}") == {"big", "bare"}
    assert ask(f"member_of=in:{AGGREGATE},{OTHER}&member_of={OTHER}") == {"small"}
    assert ask(f"in_tree={AGGREGATE}") == set()


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("resources=VCPU", "1.39"), ("resources=VCPU:0", "1.39"), ("resources=VCPU:x", "1.39"), ("resources=NOPE:1", "1.39"),
        ("resources=VCPU:99999999999999999999", "1.39"), ("required=NOPE", "1.39"), ("required=", "1.39"), ("required=!HW_CPU_X86_SSE", "1.21"),
        ("required=in:HW_CPU_X86_SSE", "1.38"), ("member_of=no", "1.39"), (f"member_of={AGGREGATE},{OTHER}", "1.39"),
        (f"member_of=!{AGGREGATE}", "1.31"), (f"member_of={AGGREGATE}&member_of={OTHER}", "1.23"), ("uuid=no", "1.39"),
        ("in_tree=no", "1.39"), ("resources=VCPU:1", "1.3"), ("nothing=1", "1.39"), ("name=%00", "1.39"), ("required=%00", "1.39"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_told(api, query, at):
    answer = api("GET", f"/resource_providers?{query}", at=at)
    assert answer.status_code == 400 and error(answer)["detail"]


def test_aggregates_follow_generations_from_1_19(api, provider):
    path = f"/resource_providers/{provider('h')}/aggregates"
    assert api("PUT", path, [AGGREGATE], at="1.1").json() == {"aggregates": [AGGREGATE]}
    assert api("GET", path).json() == {"aggregates": [AGGREGATE], "resource_provider_generation": 0}
    set_ = api("PUT", path, {"aggregates": [OTHER], "resource_provider_generation": 0})
    assert set_.json() == {"aggregates": [OTHER], "resource_provider_generation": 1}
    stale = api("PUT", path, {"aggregates": [], "resource_provider_generation": 0})
    assert stale.status_code == 409 and error(stale)["code"] == "placement.concurrent_update"
    assert api("GET", path, at="1.0").status_code == 404


def test_traits(api, provider):
    id = provider("h")
    assert api("PUT", "/traits/CUSTOM_GOLD").status_code == 201 and api("PUT", "/traits/CUSTOM_GOLD").status_code == 204
    assert api("PUT", "/traits/GOLD").status_code == 400 and api("PUT", "/traits/CUSTOM_" + "A" * 260).status_code == 400
    assert api("GET", "/traits/CUSTOM_GOLD").status_code == 204 and api("GET", "/traits/NOPE").status_code == 404
    path = f"/resource_providers/{id}/traits"
    body = {"traits": ["CUSTOM_GOLD", "HW_CPU_X86_VMX"], "resource_provider_generation": 0}
    assert api("PUT", path, body).json()["traits"] == ["CUSTOM_GOLD", "HW_CPU_X86_VMX"]
    assert api("PUT", path, body).status_code == 409
    assert api("PUT", path, body | {"traits": ["CUSTOM_NOPE"], "resource_provider_generation": 1}).status_code == 400
    assert api("GET", "/traits?associated=true").json()["traits"] == ["CUSTOM_GOLD", "HW_CPU_X86_VMX"]
    assert api("GET", "/traits?name=startswith:CUSTOM_").json()["traits"] == ["CUSTOM_GOLD"]
    assert api("GET", "/traits?name=in:CUSTOM_GOLD,NOPE").json()["traits"] == ["CUSTOM_GOLD"]
    assert api("GET", "/traits?name=CUSTOM").status_code == 400 and api("GET", "/traits?associated=x").status_code == 400
    assert api("DELETE", "/traits/CUSTOM_GOLD").status_code == 409
    assert api("DELETE", path).status_code == 204 and api("DELETE", "/traits/CUSTOM_GOLD").status_code == 204
    assert api("DELETE", "/traits/HW_CPU_X86_VMX").status_code == 400


def test_resource_classes(api, provider):
    listed = [one["name"] for one in api("GET", "/resource_classes").json()["resource_classes"]]
    assert listed[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    assert api("POST", "/resource_classes", {"name": "CUSTOM_A"}).status_code == 201
    assert api("POST", "/resource_classes", {"name": "CUSTOM_A"}).status_code == 409
    assert api("POST", "/resource_classes", {"name": "A"}).status_code == 400
    assert api("PUT", "/resource_classes/CUSTOM_B").status_code == 201 and api("PUT", "/resource_classes/CUSTOM_B").status_code == 204
    assert api("PUT", "/resource_classes/VCPU").status_code == 400
    assert api("PUT", "/resource_classes/CUSTOM_B", {"name": "CUSTOM_C"}, at="1.6").json()["name"] == "CUSTOM_C"
    assert api("GET", "/resource_classes/CUSTOM_B").status_code == 404 and api("GET", "/resource_classes/CUSTOM_C").status_code == 200
    provider("h", {"CUSTOM_A": 4})
    assert api("DELETE", "/resource_classes/CUSTOM_A").status_code == 409
    assert api("DELETE", "/resource_classes/CUSTOM_C").status_code == 204
    assert api("DELETE", "/resource_classes/VCPU").status_code == 400


def test_policy_is_for_administrators_and_services(cloud):
    assert cloud.caller("/placement").get("/resource_providers").status_code == 403
    assert cloud.caller("/placement", "service").get("/resource_providers").status_code == 200
    assert cloud.stranger("/placement").get("/resource_providers").status_code == 401
    mine = cloud.caller("/placement", "reader", project="p1")
    assert mine.get("/usages?project_id=p1", version="placement 1.9").status_code == 200
    assert mine.get("/usages?project_id=p2", version="placement 1.9").status_code == 403
