from __future__ import annotations

import hashlib
import uuid

PATCH = "application/openstack-images-v2.1-json-patch"
OCTETS = {"Content-Type": "application/octet-stream"}


def patch(who, id, *operations):
    return who.patch(f"/images/{id}", list(operations), headers={"Content-Type": PATCH})


def upload(who, id, data: bytes):
    return who("PUT", f"/images/{id}/file", content=data, headers=OCTETS)


def test_upload_and_download(me, image):
    data = bytes(range(256)) * 5000
    assert upload(me, image, data).status_code == 204
    shown = me.get(f"/images/{image}").json()
    assert shown["status"] == "active" and shown["size"] == len(data) and shown["os"] == "x"
    assert shown["checksum"] == hashlib.md5(data).hexdigest() and shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert me.get(f"/images/{image}/file").content == data
    part = me.get(f"/images/{image}/file", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == data[10:20]
    assert upload(me, image, data).status_code == 409


def test_what_is_not_what_it_says_is_refused_and_leaves_the_image_queued(me, image):
    qcow2_with_backing = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (8).to_bytes(4, "big") + bytes(1000)
    answer = upload(me, image, qcow2_with_backing)
    assert answer.status_code == 400 and "refused" in answer.text
    assert me.get(f"/images/{image}").json()["status"] == "queued"


def test_a_client_that_dies_leaves_the_image_queued(cloud, me, image):
    async def dying():
        yield b"x" * 1000
        raise ConnectionResetError

    try:
        me("PUT", f"/images/{image}/file", content=dying(), headers=OCTETS)
    except ConnectionResetError:
        pass
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert not list((cloud.runtime.config.root / "images" / "incoming").iterdir())


def test_patch(me, image):
    changed = patch(me, image, {"op": "replace", "path": "/name", "value": "ñ"}, {"op": "add", "path": "/a~1b", "value": "1"},
                    {"op": "remove", "path": "/os"}).json()  # fmt: skip
    assert changed["name"] == "ñ" and changed["a/b"] == "1" and "os" not in changed
    assert patch(me, image, {"op": "replace", "path": "/nothing", "value": "1"}).status_code == 409
    assert patch(me, image, {"op": "replace", "path": "/status", "value": "active"}).status_code == 403
    assert me.patch(f"/images/{image}", []).status_code == 415


def test_others_see_what_is_shared_with_them(me, other, admin, image):
    assert other.get(f"/images/{image}").status_code == 404
    assert me.post(f"/images/{image}/members", {"member": "p2"}).json()["status"] == "pending"
    assert other.get(f"/images/{image}").status_code == 200 and other.get("/images").json()["images"] == []
    assert me.put(f"/images/{image}/members/p2", {"status": "accepted"}).status_code == 403
    assert other.put(f"/images/{image}/members/p2", {"status": "accepted"}).status_code == 200
    assert [i["id"] for i in other.get("/images").json()["images"]] == [image]
    assert other.delete(f"/images/{image}").status_code == 403
    assert patch(me, image, {"op": "replace", "path": "/visibility", "value": "public"}).status_code == 403
    assert patch(admin, image, {"op": "replace", "path": "/visibility", "value": "public"}).status_code == 200


def test_list_filters_and_pages(me, admin):
    made = [me.post("/images", {"name": f"n{i}", "disk_format": "raw", "container_format": "bare", "tags": [f"t{i}"], "p": str(i)}).json()["id"]
            for i in range(3)]  # fmt: skip
    first = me.get("/images?limit=2&sort=name:asc").json()
    assert [i["id"] for i in first["images"]] == made[:2] and first["next"].startswith("/v2/images?")
    assert [i["id"] for i in me.get(first["next"].removeprefix("/v2")).json()["images"]] == made[2:]
    for query in ("name=n1", "tag=t1", "p=1", f"id={made[1]}"):
        assert [i["id"] for i in me.get(f"/images?{query}").json()["images"]] == [made[1]], query
    assert me.get("/images?limit=-1").status_code == 400 and me.get("/images?marker=x").status_code == 400
    assert me.get("/images?created_at=gt:x").status_code == 400


def test_delete(cloud, me, image):
    upload(me, image, b"data")
    assert patch(me, image, {"op": "replace", "path": "/protected", "value": True}).status_code == 200
    assert me.delete(f"/images/{image}").status_code == 403
    patch(me, image, {"op": "replace", "path": "/protected", "value": False})
    assert me.delete(f"/images/{image}").status_code == 204 and me.get(f"/images/{image}").status_code == 404
    from cumulet.image.reconcile import ImageData

    cloud.portal.call(ImageData(cloud.runtime).run_once)
    assert not (cloud.runtime.config.root / "images" / image).exists()


def test_bad_input(me):
    for body in ({"disk_format": "floppy"}, {"min_disk": -1}, {"id": "x"}, {"name": "x" * 256}, {"p": 1}, {"name": "a\0"}, [], None):
        assert me.post("/images", body).status_code == 400, body
    assert me.post("/images", {"status": "active"}).status_code == 403
    assert me.get(f"/images/{uuid.uuid4()}").status_code == 404
    taken = me.post("/images", {"name": "a"}).json()["id"]
    assert me.post("/images", {"id": taken}).status_code == 409


def test_versions(cloud):
    answer = cloud.stranger("/image").get("/")
    assert answer.status_code == 300 and answer.json()["versions"][0]["status"] == "CURRENT"
