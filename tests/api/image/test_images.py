from __future__ import annotations

import asyncio
import concurrent.futures as cf
import datetime as dt
import hashlib
import uuid

import pytest
from starlette.requests import ClientDisconnect

from cumulet.image import locations
from cumulet.image.reconcile import ImageData

PATCH = "application/openstack-images-v2.1-json-patch"
OCTETS = {"Content-Type": "application/octet-stream"}


def patch(who, id, *operations):
    return who.patch(f"/images/{id}", list(operations), headers={"Content-Type": PATCH})


def upload(who, id, data: bytes):
    return who("PUT", f"/images/{id}/file", content=data, headers=OCTETS)


def files(cloud):
    """What the default store holds."""
    return [path for path in (cloud.runtime.config.root / "images").iterdir() if path.is_file()]


def reconcile(cloud):
    cloud.portal.call(ImageData(cloud.runtime).run_once)


def qcow2(backing: int) -> bytes:
    """A header that names a backing file at this offset."""
    return b"QFI\xfb" + (3).to_bytes(4, "big") + backing.to_bytes(8, "big") + (8).to_bytes(4, "big") + bytes(1000)


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
    answer = upload(me, image, qcow2(backing=104))
    assert answer.status_code == 415 and "Image failed safety checks: it has a backing file" in answer.text
    assert me.get(f"/images/{image}").json()["status"] == "queued"


def test_a_client_that_dies_leaves_the_image_queued(cloud, me, image):
    async def dying():
        yield b"x" * 1000
        raise ClientDisconnect

    assert me("PUT", f"/images/{image}/file", content=dying(), headers=OCTETS).status_code == 400
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert not list((cloud.runtime.config.root / "images" / "incoming").iterdir())
    reconcile(cloud)
    assert upload(me, image, b"again").status_code == 204, "it waits for another"


def test_an_upload_that_was_taken_for_dead_does_not_come_back(cloud, me, image):
    """It stalls for so long that another client's upload takes its place, and then goes on."""

    async def stalled():
        yield b"late"
        cloud.runtime.db.transact(lambda tx: tx.update(locations.locations, {"status": "pending"}, updated_at=dt.datetime(2001, 1, 1)))
        await ImageData(cloud.runtime).run_once()
        sent = await cloud._client.put(f"/image/v2/images/{image}/file", content=b"in time", headers={"X-Auth-Token": me.token, **OCTETS})
        assert sent.status_code == 204

    late = me("PUT", f"/images/{image}/file", content=stalled(), headers=OCTETS)
    assert late.status_code == 410
    assert me.get(f"/images/{image}/file").content == b"in time"
    reconcile(cloud)
    assert [file.read_bytes() for file in files(cloud)] == [b"in time"]


def test_a_kernel_image_with_a_backing_file_is_refused_too(me):
    body = {"name": "k", "disk_format": "aki", "container_format": "aki"}
    kernel, safe = (me.post("/images", body).json()["id"] for _ in range(2))
    assert upload(me, kernel, qcow2(backing=104)).status_code == 415
    assert upload(me, safe, b"\x1f\x8b" + bytes(100)).status_code == 204


def test_an_image_deleted_under_an_upload_ends_it(cloud, me, image, monkeypatch):
    monkeypatch.setattr(locations, "BEAT", 0.02)
    sent = 0

    async def endless():
        nonlocal sent
        yield b"x" * 1000
        await cloud._client.delete(f"/image/v2/images/{image}", headers={"X-Auth-Token": me.token})
        while sent < 1000:
            sent += 1
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    answer = me("PUT", f"/images/{image}/file", content=endless(), headers=OCTETS)
    assert answer.status_code == 410 and sent < 1000
    assert not list((cloud.runtime.config.root / "images" / "incoming").iterdir())


def test_one_of_two_uploads_at_once(me, image):
    both = [bytes([i]) * 3_000_000 for i in (1, 2)]
    with cf.ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(lambda data: upload(me, image, data).status_code, both))
    assert sorted(statuses) == [204, 409]
    shown, kept = me.get(f"/images/{image}").json(), both[statuses.index(204)]
    assert shown["checksum"] == hashlib.md5(kept).hexdigest() and me.get(f"/images/{image}/file").content == kept


def test_asking_for_an_images_headers_reads_none_of_it(cloud, me, image):
    upload(me, image, b"data")
    for file in files(cloud):
        file.unlink()
    head = me("HEAD", f"/images/{image}/file")
    assert head.status_code == 200 and head.headers["content-length"] == "4" and head.content == b""


def test_patch(me, image):
    changed = patch(me, image, {"op": "replace", "path": "/name", "value": "ñ"}, {"op": "add", "path": "/a~1b", "value": "1"},
                    {"op": "remove", "path": "/os"}).json()  # fmt: skip
    assert changed["name"] == "ñ" and changed["a/b"] == "1" and "os" not in changed
    assert patch(me, image, {"op": "replace", "path": "/nothing", "value": "1"}).status_code == 409
    assert patch(me, image, {"op": "replace", "path": "/status", "value": "active"}).status_code == 403
    old = {"headers": {"Content-Type": "application/openstack-images-v2.0-json-patch"}}
    oldest = me.patch(f"/images/{image}", [{"replace": "/name", "value": "old form"}, {"remove": "/a~1b"}], **old)
    assert oldest.json()["name"] == "old form" and "a/b" not in oldest.json()
    for bad in ({"op": "add", "path": "/a", "value": "1"}, {"add": "/a", "remove": "/b", "value": "1"}, {"move": "/a"}, {"add": "/a"}):
        assert me.patch(f"/images/{image}", [bad], **old).status_code == 400, bad
    for path in ("name", "", "/name/", "/a/b", "//name", "/a~", "/a~2", 5, None):
        assert patch(me, image, {"op": "add", "path": path, "value": "x"}).status_code == 400, path
    for bad in ({"op": "move", "path": "/name"}, {"add": "/a", "remove": "/b", "value": "1"}, {"op": "add", "path": "/a"}, "x", {}):
        assert patch(me, image, bad).status_code == 400, bad
    for name in ("name", "disk_format", "tags", "min_ram", "visibility"):
        assert patch(me, image, {"op": "remove", "path": f"/{name}"}).status_code == 403, name
    assert patch(me, image, {"op": "add", "path": "/location", "value": "x"}).status_code == 403
    assert patch(me, image, {"op": "add", "path": "/x", "value": "1"}, {"op": "remove", "path": "/nothing"}).status_code == 409
    assert "x" not in me.get(f"/images/{image}").json(), "all or none"
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


def test_filters(me):
    one = me.post("/images", {"name": "a, b", "disk_format": "raw", "tags": ["T", "x,y"], 'q"': "1", "k": "v'", "protected": True}).json()[
        "id"
    ]
    two = me.post("/images", {"name": 'a"c', "disk_format": "qcow2", "tags": ["t", "u"], "k.l": "2"}).json()["id"]
    hidden = me.post("/images", {"name": "h", "os_hidden": True}).json()["id"]
    when = me.get(f"/images/{one}").json()["created_at"]

    def found(query: dict) -> set[str]:
        answer = me.get("/images", params=query)
        assert answer.status_code == 200, (query, answer.text)
        return {image["id"] for image in answer.json()["images"]}

    for query, wanted in (
        ({"name": 'in:"a, b",h'}, {one}), ({"name": 'in:"a\\"c"'}, {two}), ({"name": "eq:a, b"}, {one}), ({"name": "a, b"}, {one}),
        ({"disk_format": "in:raw,qcow2"}, {one, two}), ({"id": f"in:{one},{two}"}, {one, two}), ({"status": "in:"}, set()),
        ({"tag": "T"}, {one}), ({"tag": "t"}, {two}), ({"tag": ","}, set()), ({"tag": "x,y"}, {one}), ({"tag": ["t", "u"]}, {two}),
        ({"tag": ["t", "T"]}, set()), ({"tag": '"'}, set()), ({'q"': "1"}, {one}), ({"k": "v'"}, {one}), ({"k.l": "2"}, {two}),
        ({"k": "%"}, set()), ({"$": "1"}, set()), ({"protected": "true"}, {one}), ({"protected": "false"}, {two}),
        ({"os_hidden": "true"}, {hidden}), ({"os_hash_value": "0"}, set()), ({"updated_at": f"gte:{when}"}, {one, two}),
        ({"updated_at": "lt:2001-01-01T00:00:00Z"}, set()), ({"created_at": f"gte:{when}"}, {one, two}),
    ):  # fmt: skip
        assert found(query) == wanted, query
    for query in (
        {"name": 'in:"a'}, {"name": 'in:a"b"'}, {"name": "neq:a"}, {"status": "gt:a"}, {"protected": "perhaps"}, {"os_hidden": "1"},
        {"created_at": "gt:0001-01-01T00:00:00+23:59"}, {"updated_at": "soon"}, {"visibility": "odd"}, {"member_status": "odd"},
        {"sort_key": "tags"}, {"sort_key": "upload_seen"}, {"sort": "properties:asc"}, {"sort": "name:up"}, {"sort": "name", "sort_key": "id"},
        {"sort_key": ["name", "id", "size"], "sort_dir": ["asc", "desc"]}, {"size_min": "x"}, {"name": "no:operator"}, {"protected": "True"},
    ):  # fmt: skip
        assert me.get("/images", params=query).status_code == 400, query


def test_pages_follow_every_order(me):
    for i in range(7):
        me.post("/images", {"name": f"n{i % 3}", "disk_format": "raw" if i % 2 else None})
    for order in (
        "sort=name:asc,created_at",
        "sort_key=name&sort_key=size&sort_dir=asc",
        "sort=disk_format:asc",
        "sort=updated_at",
        "sort=id:desc",
    ):
        whole = [image["id"] for image in me.get(f"/images?{order}").json()["images"]]
        seen, path = [], f"/images?{order}&limit=2"
        while path:
            page = me.get(path).json()
            seen += [image["id"] for image in page["images"]]
            path = page.get("next", "").removeprefix("/v2")
        assert seen == whole and len(whole) == 7, order


def test_limits(me, image):
    many = {f"p{i}": "x" for i in range(129)}
    for body in (many, {"tags": [str(i) for i in range(129)]}):
        answer = me.post("/images", body)
        assert answer.status_code == 413 and "Attempted: 129, Maximum: 128" in answer.text
    full = me.post("/images", {"tags": [str(i) for i in range(128)]}).json()["id"]
    assert me.put(f"/images/{full}/tags/more").status_code == 413 and me.put(f"/images/{full}/tags/1").status_code == 204
    operations = [{"op": "add", "path": f"/p{i}", "value": "x"} for i in range(128)]
    assert patch(me, image, *operations).status_code == 413, "it has a property already"
    assert patch(me, image, *operations[1:]).status_code == 200
    for i in range(128):
        assert me.post(f"/images/{image}/members", {"member": f"p{i}"}).status_code == 200
    assert me.post(f"/images/{image}/members", {"member": "more"}).status_code == 413


def test_nobodys_image_is_not_everybodys(cloud, admin):
    id = admin.post("/images", {"name": "i", "owner": None}).json()["id"]
    for who in (cloud.caller("/image/v2", "reader", domain="d1"), cloud.caller("/image/v2", "reader", system=True)):
        assert who.get(f"/images/{id}").status_code == 404


def test_delete(cloud, me, image):
    upload(me, image, b"data")
    assert patch(me, image, {"op": "replace", "path": "/protected", "value": True}).status_code == 200
    assert me.delete(f"/images/{image}").status_code == 403
    patch(me, image, {"op": "replace", "path": "/protected", "value": False})
    assert me.delete(f"/images/{image}").status_code == 204 and me.get(f"/images/{image}").status_code == 404
    assert files(cloud)
    reconcile(cloud)
    assert files(cloud) == []


def test_bad_input(me):
    for body in ({"disk_format": "floppy"}, {"min_disk": -1}, {"id": "x"}, {"name": "x" * 256}, {"p": 1}, {"name": "a\0"}, [], None):
        assert me.post("/images", body).status_code == 400, body
    assert me.post("/images", {"status": "active"}).status_code == 403
    assert me.get(f"/images/{uuid.uuid4()}").status_code == 404
    taken = me.post("/images", {"name": "a"}).json()["id"]
    again = me.post("/images", {"id": taken})
    assert again.status_code == 409 and f"Image ID {taken} already exists!" in again.text


@pytest.mark.parametrize("path", ["/images/", "/images/{id}/", "/images/{id}/members/", "/schemas/", "/metadefs/namespaces/", "/tasks/"])
def test_a_path_that_ends_in_a_slash_is_nowhere(admin, path):
    id = admin.post("/images", {"name": "i"}).json()["id"]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert admin(method, path.format(id=id)).status_code == 404, method
    assert admin.get(f"/images/{id}").status_code == 200


def test_versions(cloud):
    answer = cloud.stranger("/image").get("/")
    assert answer.status_code == 300 and answer.json()["versions"][0]["status"] == "CURRENT"
