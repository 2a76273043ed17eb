"""What is written down with a server: metadata, tags, a lock; and its addresses."""

from __future__ import annotations

import base64
import json

import pytest

NEW = "compute 2.73"


@pytest.fixture
def id(world) -> str:
    return world.boot()


def told(world, id: str) -> dict:
    """What the guest is served."""
    tree = json.loads((world.root / "metadata" / "servers" / f"{id}.json").read_text())
    return json.loads(base64.b64decode(tree["openstack/latest/meta_data.json"]))


def test_metadata_is_merged_replaced_and_removed(world, id):
    path = f"/servers/{id}/metadata"
    assert world.me.post(path, {"metadata": {"a": "1", "b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert world.me.post(path, {"metadata": {"b": "3"}}).json() == {"metadata": {"a": "1", "b": "3"}}
    assert world.me.put(path + "/c", {"meta": {"c": "ü"}}).json() == {"meta": {"c": "ü"}}
    assert world.me.get(path + "/c").json() == {"meta": {"c": "ü"}}
    world.settle()
    assert told(world, id)["meta"] == {"a": "1", "b": "3", "c": "ü"} == world.me.get(path).json()["metadata"]
    assert world.me.delete(path + "/c").status_code == 204 and world.me.delete(path + "/c").status_code == 404
    assert world.me.put(path, {"metadata": {}}).json() == {"metadata": {}} == world.me.get(path).json()
    world.settle()
    assert "meta" not in told(world, id)


def test_bad_metadata_is_refused(world, id):
    for meta in ({"": "x"}, {"k" * 256: "x"}, {"k": "x" * 256}, {"k": None}, {"k": 1}, {"k/": "x"}, {"k": "\0"}, [], None):
        assert world.me.post(f"/servers/{id}/metadata", {"metadata": meta}).status_code == 400, meta
        assert world.me.put(f"/servers/{id}/metadata/k", {"meta": meta}).status_code == 400, meta


def test_metadata_has_a_quota_and_rules(world, id):
    path = f"/servers/{id}/metadata"
    many = {f"k{i}": "v" for i in range(129)}
    assert world.me.put(path, {"metadata": many}).status_code == 403 and world.me.post(path, {"metadata": many}).status_code == 403
    assert (
        world.me.put(path + "/a", {"meta": {"b": "x"}}).status_code == 400
        and world.me.put(path + "/a", {"meta": {"a": "1", "b": "2"}}).status_code == 400
    )
    assert world.me.put(path, content=b"").status_code == 400
    reader = world.caller("/compute/v2.1", "reader")
    assert reader.get(path).status_code == 200 and reader.post(path, {"metadata": {}}).status_code == 403
    stranger = world.caller("/compute/v2.1", project="p2")
    for method, to in (
        ("GET", path),
        ("POST", path),
        ("PUT", path),
        ("DELETE", path + "/a"),
        ("GET", f"/servers/{id}/tags"),
        ("GET", f"/servers/{id}/ips"),
    ):
        body = {"metadata": {}} if method in ("POST", "PUT") else None
        assert stranger(method, to, body, version=NEW).status_code == 404, to


def test_tags(world, id):
    call = lambda method, tag="", body=None: world.me(method, f"/servers/{id}/tags{tag}", body, version="compute 2.26")
    assert world.me.get(f"/servers/{id}/tags", version="compute 2.25").status_code == 404
    added = call("PUT", "/b%20c")
    assert added.status_code == 201 and added.headers["location"].endswith(f"/servers/{id}/tags/b%20c") and added.content == b""
    assert call("PUT", "/b%20c").status_code == 204 and call("GET", "/b%20c").status_code == 204 and call("GET", "/nope").status_code == 404
    assert call("PUT", body={"tags": ["z", "a", "a"]}).json() == {"tags": ["a", "z"]} == call("GET").json()
    assert call("DELETE", "/a").status_code == 204 and call("DELETE", "/a").status_code == 404
    assert world.show(id)["tags"] == ["z"]
    for bad in (["a,b"], ["a/b"], [""], ["x" * 61], [1], "x", [str(i) for i in range(51)]):
        assert call("PUT", body={"tags": bad}).status_code == 400, bad
    assert call("PUT", "/a%2Fb").status_code == 400 and call("PUT", f"/{'x' * 61}").status_code == 400
    call("PUT", body={"tags": [f"t{i}" for i in range(50)]})
    assert call("PUT", "/one-more").status_code == 400 and call("PUT", "/t1").status_code == 204
    assert call("DELETE").status_code == 204 and call("GET").json() == {"tags": []}


def test_a_locked_server_is_left_alone(world, id):
    act = lambda by, **body: by.post(f"/servers/{id}/action", body, version=NEW)
    assert act(world.me, lock={"locked_reason": "mine"}).status_code == 202
    shown = world.show(id)
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    for refused in ({"os-stop": None}, {"reboot": {"type": "SOFT"}}, {"shelve": None}, {"rescue": None}, {"forceDelete": None}):
        assert act(world.me, **refused).status_code == 409, refused
    assert (
        world.me.post(f"/servers/{id}/metadata", {"metadata": {}}).status_code == 409
        and world.me.delete(f"/servers/{id}").status_code == 409
    )
    assert act(world.admin, **{"os-stop": None}).status_code == 202, "administrators may"
    world.settle()
    assert act(world.me, unlock=None).status_code == 202 and not world.show(id)["locked"]
    other = world.caller("/compute/v2.1", "admin", project="p9")
    assert act(other, lock=None).status_code == 202 and act(world.me, unlock=None).status_code == 403
    assert act(other, unlock=None).status_code == 202 and act(world.me, lock={"locked_reason": ""}).status_code == 400
    assert world.me.post(f"/servers/{id}/action", {"lock": {"locked_reason": "x"}}, version="compute 2.72").status_code == 400


def test_addresses(world, id):
    assert world.me.get(f"/servers/{id}/ips").json()["addresses"].keys() == {"private"}
    (address,) = world.me.get(f"/servers/{id}/ips/private").json()["private"]
    assert address["version"] == 4 and address["addr"].startswith("10.0.0.") and len(address) == 2
    assert world.me.get(f"/servers/{id}/ips/nope").status_code == 404
