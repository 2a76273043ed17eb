from __future__ import annotations

import pytest
from network_calls import fault, make


@pytest.mark.parametrize("kind", ["networks", "subnets", "ports", "subnetpools"])
def test_tags_of_every_kind(me, network, subnet, kind):
    values = {"subnetpools": {"name": "sp", "prefixes": ["10.0.0.0/8"]}, "ports": {"network_id": network["id"]}}
    made = {"networks": network, "subnets": subnet}.get(kind) or make(me, kind[:-1], **values[kind])
    path = f"/{kind}/{made['id']}"
    assert me.put(f"{path}/tags/red").status_code == 201
    assert me.put(f"{path}/tags/red").status_code == 201
    assert me.get(f"{path}/tags").json() == {"tags": ["red"]} and me.get(path).json()[kind[:-1]]["tags"] == ["red"]
    assert me.get(f"{path}/tags/red").status_code == 204 and me.get(f"{path}/tags/blue").status_code == 404
    assert me.put(f"{path}/tags", {"tags": ["a", "b", "a"]}).json() == {"tags": ["a", "b"]}
    assert me.post(f"{path}/tags", {"tags": ["c"]}).json() == {"tags": ["a", "b", "c"]}
    assert me.delete(f"{path}/tags/a").status_code == 204
    fault(me.delete(f"{path}/tags/a"), 404, "TagNotFound")
    assert [one["id"] for one in me.get(f"/{kind}?tags=b,c").json()[kind]] == [made["id"]]
    assert me.delete(f"{path}/tags").status_code == 204 and me.get(f"{path}/tags").json() == {"tags": []}


def test_filters_by_tags(me):
    for name, tags in {"a": ["red"], "b": ["red", "blue"], "c": []}.items():
        made = make(me, "network", name=name)
        me.put(f"/networks/{made['id']}/tags", {"tags": tags})
    names = lambda query: "".join(sorted(n["name"] for n in me.get(f"/networks?{query}").json()["networks"]))
    assert names("tags=red") == "ab" and names("tags=red,blue") == "b" and names("tags-any=blue,green") == "b"
    assert names("not-tags=red,blue") == "ac" and names("not-tags-any=red,blue") == "c"


def test_tags_are_the_owners(me, other, admin, cloud, network):
    path = f"/networks/{network['id']}/tags"
    assert other.get(path).status_code == other.put(f"{path}/x").status_code == 404
    assert cloud.caller("/network/v2.0", "reader").put(f"{path}/x").status_code == 403
    shared = make(admin, "network", shared=True)
    assert other.put(f"/networks/{shared['id']}/tags/x").status_code == 403
    assert other.get(f"/networks/{shared['id']}/tags").json() == {"tags": []}


def test_tags_that_cannot_be(me, network):
    path = f"/networks/{network['id']}/tags"
    for wrong in (
        {"tags": ["x" * 256]},
        {"tags": "x"},
        {"tags": [""]},
        {"tags": [f"{n}" for n in range(51)]},
        {"tags": ["a\0"]},
        {},
    ):
        assert me.put(path, wrong).status_code == 400
    assert me.put(f"{path}/{'x' * 256}").status_code == 400 and me.put(f"{path}/%00").status_code == 404
    assert me.get("/nothings/1/tags").status_code == 404


def test_a_tag_is_a_revision(me, network):
    me.put(f"/networks/{network['id']}/tags/x")
    assert me.get(f"/networks/{network['id']}").json()["network"]["revision_number"] == network["revision_number"] + 1
