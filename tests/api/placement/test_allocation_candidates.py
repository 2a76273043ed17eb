from __future__ import annotations

import pytest

AGGREGATE = "11111111-1111-1111-1111-111111111111"


def ask(api, query: str, at: str = "1.39") -> list[dict]:
    answer = api("GET", f"/allocation_candidates?{query}", at=at)
    assert answer.status_code == 200, answer.text
    return answer.json()["allocation_requests"]


def test_candidates_can_be_put_back_as_allocations(api, provider):
    one, two = provider("a", {"VCPU": 4, "MEMORY_MB": 512}), provider("b", {"VCPU": 1, "MEMORY_MB": 512})
    (only,) = ask(api, "resources=VCPU:2,MEMORY_MB:256")
    assert only == {"allocations": {one: {"resources": {"VCPU": 2, "MEMORY_MB": 256}}}, "mappings": {"": [one]}}
    body = only | {"project_id": "p", "user_id": "u", "consumer_generation": None, "consumer_type": "INSTANCE"}
    assert api("PUT", f"/allocations/{AGGREGATE}", body).status_code == 204
    assert {id for c in ask(api, "resources=VCPU:1") for id in c["allocations"]} == {one, two}
    assert ask(api, "resources=VCPU:3") == []


def test_forms_by_microversion(api, provider):
    id = provider("a", {"VCPU": 4, "DISK_GB": 10}, traits=["HW_CPU_X86_SSE"])
    old = api("GET", "/allocation_candidates?resources=VCPU:1", at="1.10").json()
    assert old["allocation_requests"] == [{"allocations": [{"resource_provider": {"uuid": id}, "resources": {"VCPU": 1}}]}]
    assert old["provider_summaries"] == {id: {"resources": {"VCPU": {"capacity": 4, "used": 0}}}}
    new = api("GET", "/allocation_candidates?resources=VCPU:1").json()["provider_summaries"][id]
    assert set(new["resources"]) == {"VCPU", "DISK_GB"} and new["traits"] == ["HW_CPU_X86_SSE"] and new["root_provider_uuid"] == id


def test_limit_traits_and_aggregates(api, provider):
    for i in range(5):
        provider(f"h{i}", {"VCPU": 4}, traits=["STORAGE_DISK_SSD"] if i % 2 else [], aggregates=[AGGREGATE] if i > 2 else [])
    assert len(ask(api, "resources=VCPU:1&limit=2")) == 2 and len(ask(api, "resources=VCPU:1")) == 5
    assert (
        len(ask(api, "resources=VCPU:1&required=STORAGE_DISK_SSD")) == 2
        and len(ask(api, "resources=VCPU:1&required=!STORAGE_DISK_SSD")) == 3
    )
    assert len(ask(api, f"resources=VCPU:1&member_of={AGGREGATE}")) == 2 and len(ask(api, f"resources=VCPU:1&member_of=!{AGGREGATE}")) == 3


def test_groups_of_a_tree(api, provider):
    root = provider("root", {"VCPU": 4})
    nics = [provider(f"nic{i}", {"SRIOV_NET_VF": 2}, parent=root) for i in range(2)]
    both = "resources=VCPU:1&resources1=SRIOV_NET_VF:1&resources2=SRIOV_NET_VF:1&group_policy="
    assert len(ask(api, both + "isolate")) == 2 and len(ask(api, both + "none")) == 4
    assert {tuple(c["mappings"]["1"] + c["mappings"]["2"]) for c in ask(api, both + "isolate")} == {tuple(nics), tuple(nics[::-1])}
    assert ask(api, both + "none", at="1.28") == []


def test_shared_storage(api, provider):
    hosts = [provider(f"h{i}", {"VCPU": 4}, aggregates=[AGGREGATE]) for i in range(2)]
    provider("outside", {"VCPU": 4})
    disk = provider("nfs", {"DISK_GB": 100}, traits=["MISC_SHARES_VIA_AGGREGATE"], aggregates=[AGGREGATE])
    found = ask(api, "resources=VCPU:1,DISK_GB:10")
    assert [set(c["allocations"]) for c in found] == [{host, disk} for host in hosts]


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("", "1.39"), ("resources=VCPU:1&limit=0", "1.39"), ("resources=VCPU:1&limit=x", "1.39"), ("resources=NOPE:1", "1.39"),
        ("resources=VCPU:1&required=NOPE", "1.39"), ("resources1=VCPU:1&resources2=VCPU:1", "1.39"), ("required=HW_CPU_X86_SSE", "1.35"),
        ("resources=VCPU:1&group_policy=x", "1.39"), ("resources=VCPU:1&required=HW_CPU_X86_SSE,!HW_CPU_X86_SSE", "1.39"),
        ("resources=VCPU:1&root_required=A&root_required=B", "1.39"), ("resources=VCPU:1&same_subtree=_A", "1.39"),
        ("resources=VCPU:1&required_A=HW_CPU_X86_SSE", "1.39"), ("resources_A=VCPU:1", "1.32"), ("resources1=VCPU:1", "1.24"),
        ("resources=VCPU:1&in_tree=x", "1.39"), ("resources=VCPU:1&same_subtree=", "1.39"),
    ],
)  # fmt: skip
def test_a_bad_ask_is_told(api, query, at):
    answer = api("GET", f"/allocation_candidates?{query}", at=at)
    assert answer.status_code == 400 and answer.json()["errors"][0]["detail"]
