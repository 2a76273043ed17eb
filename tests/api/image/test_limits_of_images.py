"""How many properties, tags and members an image may have."""

from __future__ import annotations

import pytest

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
TOLD = "The limit has been exceeded on the number of allowed image {}. Attempted: 129, Maximum: 128"


def patch(who, id, *operations):
    return who.patch(f"/images/{id}", list(operations), headers=PATCH)


def add(name: str, value: object = "v") -> dict:
    return {"op": "add", "path": f"/{name}", "value": value}


@pytest.fixture
def full(me) -> str:
    """An image that has as much as it may."""
    body = {"name": "full", "tags": [f"t{n}" for n in range(128)]} | {f"p{n}": "v" for n in range(128)}
    answer = me.post("/images", body)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    for n in range(128):
        assert me.post(f"/images/{id}/members", {"member": f"m{n}"}).status_code == 200
    return id


@pytest.mark.parametrize(("what", "body"), [
    ("properties", {f"p{n}": "v" for n in range(129)}), ("tags", {"tags": [f"t{n}" for n in range(129)]}), ("tags", {"tags": ["t"] * 129}),
])  # fmt: skip
def test_a_new_image(me, what, body):
    answer = me.post("/images", {"name": "i", **body})
    assert answer.status_code == 413 and TOLD.format(what) in answer.text
    assert me.get("/images").json()["images"] == []


def test_an_image_that_is_full(me, full):
    for operation, what in ((add("more"), "properties"), (add("tags", [f"t{n}" for n in range(129)]), "tags")):
        answer = patch(me, full, operation)
        assert answer.status_code == 413 and TOLD.format(what) in answer.text
    answer = me.put(f"/images/{full}/tags/more")
    assert answer.status_code == 413 and f"Image tag limit exceeded for image {full}: {TOLD.format('tags')}:" in answer.text
    answer = me.post(f"/images/{full}/members", {"member": "more"})
    told = f"Image member limit exceeded for image {full}: {TOLD.format('members for this image')}:"
    assert answer.status_code == 413 and told in answer.text


def test_what_it_has_may_be_changed_and_what_goes_makes_room(me, full):
    assert me.put(f"/images/{full}/tags/t5").status_code == 204
    assert patch(me, full, add("p5", "other")).status_code == 200
    assert patch(me, full, add("more"), {"op": "remove", "path": "/p1"}).status_code == 200
    assert me.delete(f"/images/{full}/tags/t5").status_code == 204 and me.put(f"/images/{full}/tags/more").status_code == 204
    assert me.delete(f"/images/{full}/members/m5").status_code == 204
    assert me.post(f"/images/{full}/members", {"member": "more"}).status_code == 200
