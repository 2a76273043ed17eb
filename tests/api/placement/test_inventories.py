from __future__ import annotations

import pytest

CONSUMER = "33333333-3333-3333-3333-333333333333"
NOWHERE = "99999999-9999-9999-9999-999999999999"


def take(api, consumer: str, provider: str, **resources: int):
    body = {"allocations": {provider: {"resources": resources}}, "project_id": "p", "user_id": "u"}
    return api("PUT", f"/allocations/{consumer}", body, at="1.12")


def code(answer) -> str:
    return answer.json()["errors"][0]["code"]


def test_inventories_are_set_shown_and_deleted(api, provider):
    path = f"/resource_providers/{provider('h')}/inventories"
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4, "allocation_ratio": 16.0}, "DISK_GB": {"total": 9}}}
    answer = api("PUT", path, body).json()
    assert answer["resource_provider_generation"] == 1
    assert answer["inventories"]["VCPU"] == {
        "total": 4, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 16.0,
    }  # fmt: skip
    stale = api("PUT", path, body)
    assert stale.status_code == 409 and code(stale) == "placement.concurrent_update"
    assert api("GET", path + "/DISK_GB").json()["total"] == 9 and api("GET", path + "/MEMORY_MB").status_code == 404
    made = api("POST", path, {"resource_class": "MEMORY_MB", "total": 512})
    assert made.status_code == 201 and made.headers["location"].endswith("/inventories/MEMORY_MB")
    assert api("POST", path, {"resource_class": "MEMORY_MB", "total": 512}).status_code == 409
    changed = api("PUT", path + "/MEMORY_MB", {"total": 256, "resource_provider_generation": 2}).json()
    assert (changed["total"], changed["resource_provider_generation"]) == (256, 3)
    assert api("PUT", path + "/PCPU", {"total": 1, "resource_provider_generation": 3}).status_code == 400
    assert api("DELETE", path + "/MEMORY_MB").status_code == 204 and api("DELETE", path + "/MEMORY_MB").status_code == 404
    assert api("DELETE", path).status_code == 204 and api("GET", path).json()["inventories"] == {}


@pytest.mark.parametrize(
    "inventory",
    [{}, {"total": 0}, {"total": 1, "reserved": 2}, {"total": 1 << 40}, {"total": 1, "step_size": 0}, {"total": 1, "x": 1}, {"total": "4"}],
)
def test_a_bad_inventory_is_refused(api, provider, inventory):
    path = f"/resource_providers/{provider('h')}/inventories"
    assert api("PUT", path, {"resource_provider_generation": 0, "inventories": {"VCPU": inventory}}).status_code == 400
    assert api("PUT", path, {"resource_provider_generation": 0, "inventories": {"NOPE": {"total": 1}}}).status_code == 400


def test_all_may_be_reserved_from_1_26(api, provider):
    path = f"/resource_providers/{provider('h')}/inventories"
    body = {"resource_class": "VCPU", "total": 2, "reserved": 2}
    assert api("POST", path, body, at="1.25").status_code == 400 and api("POST", path, body, at="1.26").status_code == 201


def test_an_inventory_in_use_stays(api, provider):
    id = provider("h", {"VCPU": 4, "DISK_GB": 10})
    path = f"/resource_providers/{id}/inventories"
    assert take(api, CONSUMER, id, VCPU=1).status_code == 204
    generation = api("GET", path).json()["resource_provider_generation"]
    gone = api("PUT", path, {"resource_provider_generation": generation, "inventories": {"DISK_GB": {"total": 10}}})
    assert gone.status_code == 409 and code(gone) == "placement.inventory.inuse"
    assert code(api("DELETE", path)) == "placement.inventory.inuse" and api("DELETE", path + "/VCPU").status_code == 409
    assert api("DELETE", path + "/DISK_GB").status_code == 204
    assert code(api("DELETE", f"/resource_providers/{id}")) == "placement.resource_provider.inuse"


def test_allocations_of_a_consumer(api, provider):
    id = provider("h", {"VCPU": 4, "MEMORY_MB": 1024})
    assert take(api, CONSUMER, id, VCPU=2, MEMORY_MB=512).status_code == 204
    shown = api("GET", f"/allocations/{CONSUMER}").json()
    assert shown["allocations"][id]["resources"] == {"VCPU": 2, "MEMORY_MB": 512}
    assert (shown["project_id"], shown["user_id"], shown["consumer_generation"], shown["consumer_type"]) == ("p", "u", 1, "unknown")
    of = api("GET", f"/resource_providers/{id}/allocations").json()
    assert of["allocations"][CONSUMER] == {"resources": {"VCPU": 2, "MEMORY_MB": 512}, "consumer_generation": 1}
    assert api("GET", f"/resource_providers/{id}/usages").json()["usages"] == {"VCPU": 2, "MEMORY_MB": 512}
    assert api("GET", "/usages?project_id=p", at="1.9").json()["usages"] == {"VCPU": 2, "MEMORY_MB": 512}
    assert api("DELETE", f"/allocations/{CONSUMER}").status_code == 204
    assert api("DELETE", f"/allocations/{CONSUMER}").status_code == 404
    assert api("GET", f"/allocations/{CONSUMER}").json() == {"allocations": {}}
    assert api("GET", f"/resource_providers/{id}/usages").json()["usages"] == {"VCPU": 0, "MEMORY_MB": 0}


@pytest.mark.parametrize(("amount", "status"), [(2, 204), (3, 409), (8, 409), (0, 400), (-1, 400), (1 << 33, 400)])
def test_what_does_not_fit_is_refused_and_changes_nothing(api, provider, amount, status):
    id = provider("h", {"VCPU": {"total": 6, "step_size": 2, "max_unit": 4}})
    answer = take(api, CONSUMER, id, VCPU=amount)
    assert answer.status_code == status
    if status == 409:
        assert "VCPU" in answer.json()["errors"][0]["detail"] and api("GET", f"/allocations/{CONSUMER}").json() == {"allocations": {}}


def test_a_consumer_may_change_what_it_has_up_to_all(api, provider):
    id = provider("h", {"VCPU": 4})
    assert take(api, CONSUMER, id, VCPU=3).status_code == 204 and take(api, CONSUMER, id, VCPU=4).status_code == 204
    assert take(api, CONSUMER.replace("3", "4"), id, VCPU=1).status_code == 409
    assert take(api, "no-uuid", id, VCPU=1).status_code == 400 and take(api, CONSUMER, CONSUMER, VCPU=1).status_code == 400
    assert take(api, CONSUMER, id, NOPE=1).status_code == 400


def test_consumer_generations(api, provider):
    id = provider("h", {"VCPU": 4})
    body = {"allocations": {id: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_type": "INSTANCE"}
    put = lambda generation, **more: api("PUT", f"/allocations/{CONSUMER}", body | {"consumer_generation": generation} | more)
    assert put(0).status_code == 409 and put(None).status_code == 204
    stale = put(None)
    assert stale.status_code == 409 and code(stale) == "placement.concurrent_update"
    assert put(1, project_id="q").status_code == 204
    assert api("GET", f"/allocations/{CONSUMER}").json()["project_id"] == "q"
    assert api("GET", "/usages?project_id=q").json()["usages"] == {"INSTANCE": {"VCPU": 1, "consumer_count": 1}}
    assert api("GET", "/usages?project_id=q&consumer_type=all").json()["usages"] == {"all": {"VCPU": 1, "consumer_count": 1}}
    assert api("GET", "/usages?project_id=q&consumer_type=MIGRATION").json()["usages"] == {}
    assert api("PUT", f"/allocations/{CONSUMER}", body).status_code == 400
    assert put(2, allocations={}).status_code == 204 and api("GET", f"/allocations/{CONSUMER}").json() == {"allocations": {}}


def test_fields_come_with_their_microversions(api, provider):
    id = provider("h", {"VCPU": 4})
    old = {"allocations": [{"resource_provider": {"uuid": id}, "resources": {"VCPU": 1}}]}
    assert api("PUT", f"/allocations/{CONSUMER}", old, at="1.0").status_code == 204
    assert api("PUT", f"/allocations/{CONSUMER}", old, at="1.8").status_code == 400
    assert api("PUT", f"/allocations/{CONSUMER}", old | {"project_id": "p", "user_id": "u"}, at="1.8").status_code == 204
    new = {"allocations": {id: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u"}
    assert api("PUT", f"/allocations/{CONSUMER}", new | {"consumer_type": "A"}, at="1.12").status_code == 400
    assert api("POST", "/allocations", {CONSUMER: new | {"mappings": {"": [id]}}}, at="1.13").status_code == 400


def test_several_consumers_are_written_together_or_not_at_all(api, provider):
    id, other = provider("h", {"VCPU": 4}), "44444444-4444-4444-4444-444444444444"
    one = lambda amount: {"allocations": {id: {"resources": {"VCPU": amount}}} if amount else {}, "project_id": "p", "user_id": "u"}
    assert api("POST", "/allocations", {CONSUMER: one(3), other: one(3)}, at="1.13").status_code == 409
    assert api("GET", f"/allocations/{CONSUMER}").json() == {"allocations": {}}
    assert api("POST", "/allocations", {CONSUMER: one(3)}, at="1.13").status_code == 204
    moved = api("POST", "/allocations", {CONSUMER: one(0), other: one(4)}, at="1.13")
    assert moved.status_code == 204 and api("GET", f"/resource_providers/{id}/usages").json()["usages"] == {"VCPU": 4}
    assert list(api("GET", f"/resource_providers/{id}/allocations").json()["allocations"]) == [other]


def test_reshaper_moves_inventory_and_allocations(cloud, api, provider):
    host = provider("h", {"VCPU": 4, "VGPU": 2})
    card = provider("card", parent=host)
    take(api, CONSUMER, host, VCPU=1, VGPU=1)
    at = api("GET", f"/resource_providers/{host}").json()["generation"]
    body = {
        "inventories": {
            host: {"resource_provider_generation": at, "inventories": {"VCPU": {"total": 4}}},
            card: {"resource_provider_generation": 0, "inventories": {"VGPU": {"total": 2}}},
        },
        "allocations": {
            CONSUMER: {
                "allocations": {host: {"resources": {"VCPU": 1}}, card: {"resources": {"VGPU": 1}}}, "project_id": "p",
                "user_id": "u", "consumer_generation": 1, "consumer_type": "INSTANCE",
            }
        },
    }  # fmt: skip
    assert api("POST", "/reshaper", body).status_code == 403
    service = cloud.caller("/placement", "service")
    short = body | {"allocations": {}}
    refused = service.post("/reshaper", short, version="placement 1.39")
    assert refused.status_code == 409 and code(refused) == "placement.inventory.inuse"
    done = service.post("/reshaper", body, version="placement 1.39")
    assert done.status_code == 204, done.text
    assert list(api("GET", f"/resource_providers/{host}/inventories").json()["inventories"]) == ["VCPU"]
    assert api("GET", f"/resource_providers/{card}/usages").json()["usages"] == {"VGPU": 1}
    late = service.post("/reshaper", body, version="placement 1.39")
    assert late.status_code == 409 and late.json()["errors"][0]["code"] == "placement.concurrent_update"
    nowhere = {"inventories": {NOWHERE: {"resource_provider_generation": 0, "inventories": {}}}, "allocations": {}}
    unknown = service.post("/reshaper", nowhere, version="placement 1.39")
    assert unknown.status_code == 400 and unknown.json()["errors"][0]["code"] == "placement.resource_provider.not_found"
