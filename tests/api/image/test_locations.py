"""Where images' data is, as clients say it: by patches, and by importing a location."""

from __future__ import annotations

import hashlib

import pytest
from image_imports import COPY, OCTETS, ask, left, make, tasks

from cumulet.kernel.config import ConfigError, load
from web_server import web_server

DATA = b"\x01" + bytes(range(256)) * 500
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
SHA, MD5 = hashlib.sha512(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
HASHES = {"os_hash_algo": "sha512", "os_hash_value": SHA}
SETTINGS = {
    "image_stores": [
        {"type": "file", "id": "file", "default": True}, {"type": "file", "id": "two", "directory": "two"}, {"type": "http", "id": "web"},
    ],
    "image_import": {"allowed_ports": [], "allowed_networks": ["127.0.0.1/32"]},
    "show_multiple_locations": True,
    "show_image_direct_url": True,
}  # fmt: skip


@pytest.fixture
def settings() -> dict:
    return SETTINGS


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def cloud(database_url: str, tmp_path, settings):
    made = make(database_url, tmp_path, **settings)
    yield made
    made.close()


@pytest.fixture
def url(web) -> str:
    return web.serve_parts("/disk", DATA)


def patch(who, id: str, *operations):
    return who("PATCH", f"/images/{id}", list(operations), headers=PATCH)


def told(who, id: str, *operations) -> tuple[int, str]:
    answer = patch(who, id, *operations)
    return answer.status_code, answer.text.replace("&#x27;", "'")


def at(url, metadata: dict | None = None, **more) -> dict:
    return {"url": url, "metadata": metadata or {}, **more}


def add(value, place: str = "-") -> dict:
    return {"op": "add", "path": f"/locations/{place}", "value": value}


def replace(*values) -> dict:
    return {"op": "replace", "path": "/locations", "value": list(values)}


def remove(place: str) -> dict:
    return {"op": "remove", "path": f"/locations/{place}"}


def shown(who, id: str) -> list[tuple[str, dict]]:
    return [(one["url"], one["metadata"]) for one in who.get(f"/images/{id}").json()["locations"]]


def upload(who, id: str, data: bytes = DATA) -> None:
    assert who("PUT", f"/images/{id}/file", content=data, headers=OCTETS).status_code == 204


# -- patches -------------------------------------------------------------------------------------------------------


def test_an_image_is_active_once_it_is_told_where_its_data_is(cloud, me, web, url, image):
    answer = patch(me, image, add(at(url, {"room": "5"})))
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["status"], made["size"], made["checksum"], made["os_hash_value"]) == ("active", len(DATA), None, None)
    assert made["locations"] == [{"url": url, "metadata": {"room": "5", "store": "web"}}]
    assert made["direct_url"] == url and made["stores"] == "web"
    assert me.get(f"/images/{image}/file").content == DATA
    part = me("GET", f"/images/{image}/file", headers={"Range": "bytes=5-9"})
    assert part.status_code == 206 and part.content == DATA[5:10]
    assert me.delete(f"/images/{image}").status_code == 204
    assert left(cloud) == {"file": 0, "two": 0, "web": 0, "staging": 0}
    assert web.asked[0][0] == "/disk"


def test_locations_are_added_where_they_are_to_be_and_removed(admin, me, web, image):
    for name in "abc":
        web.serve(f"/{name}", DATA)
    a, b, c = (at(f"{web.url}/{name}") for name in "abc")
    assert patch(me, image, add(a), add(b, "0"), add(c, "99")).status_code == 200
    assert [url[-1] for url, _ in shown(me, image)] == ["b", "a", "c"]
    status, text = told(me, image, add(a))
    assert status == 400 and f"The location {a['url']} already exists" in text
    assert patch(me, image, add(a | {"metadata": {"x": "y"}}, "1")).status_code == 200
    assert [url[-1] for url, _ in shown(me, image)] == ["b", "a", "a", "c"]
    assert told(me, image, remove("0"))[0] == 403
    for place in ("4", "x", "-1", "+1", "\u0663"):
        assert "Invalid position for removing a location." in told(admin, image, remove(place))[1]
    for place in ("x", "-2"):
        status, text = told(me, image, add(at(f"{web.url}/d"), place))
        assert status == 400 and "Invalid position for adding a location." in text
    assert patch(admin, image, remove("1"), remove("-")).status_code == 200
    assert [url[-1] for url, _ in shown(me, image)] == ["b", "a"]
    assert patch(admin, image, remove("0")).status_code == 200
    status, text = told(admin, image, remove("0"))
    assert status == 403 and "Cannot remove last location in the image." in text


def test_all_of_a_patch_happens_or_nothing(me, url, image):
    patched = told(me, image, add(at(url)), {"op": "replace", "path": "/name", "value": "new"}, add(at(url), "x"))
    assert patched[0] == 400
    seen = me.get(f"/images/{image}").json()
    assert (seen["status"], seen["name"], seen["locations"]) == ("queued", "i", [])
    bare = me.post("/images", {"name": "bare"}).json()["id"]
    status, text = told(me, bare, add(at(url)))
    assert status == 400 and "disk_format, container_format must be set prior to saving data" in text
    formats = [
        {"op": "replace", "path": f"/{name}", "value": value} for name, value in (("disk_format", "raw"), ("container_format", "bare"))
    ]
    assert patch(me, bare, *formats, add(at(url))).status_code == 200


def test_what_is_replaced(me, web, url, image):
    other = web.serve("/other", DATA)
    assert "Cannot set locations to empty list." in told(me, image, replace())[1]
    assert f"The location {url} already exists" in told(me, image, replace(at(url), at(url)))[1]
    assert patch(me, image, replace(at(url), at(other, {"a": "b"}))).status_code == 200
    assert shown(me, image) == [(url, {"store": "web"}), (other, {"a": "b", "store": "web"})]
    status, text = told(me, image, replace(at(other)))
    assert status == 400 and "Original locations is not empty: " in text
    assert patch(me, image, replace(at(other, {"new": "x"}), at(url))).status_code == 200
    assert shown(me, image) == [(other, {"new": "x", "store": "web"}), (url, {"store": "web"})]
    for path in ({"op": "replace", "path": "/locations/0", "value": at(url)}, {"op": "remove", "path": "/locations"},
                 {"op": "add", "path": "/locations", "value": [at(url)]}, add(at(url), "0/1")):  # fmt: skip
        status, text = told(me, image, path)
        assert status == 400 and "Invalid JSON pointer for this resource" in text


def test_a_copy_of_this_clouds_own_can_be_described_and_removed_and_its_data_goes(cloud, me, admin, url, image):
    upload(me, image)
    own, _ = shown(me, image)[0]
    assert patch(me, image, add(at(url))).status_code == 200
    assert patch(me, image, replace(at(own, {"k": "v"}), at(url))).status_code == 200
    assert shown(me, image) == [(own, {"k": "v", "store": "file"}), (url, {"store": "web"})]
    assert patch(admin, image, remove("0")).status_code == 200
    assert left(cloud) == {"file": 0, "two": 0, "web": 0, "staging": 0}
    assert me.get(f"/images/{image}/file").content == DATA


@pytest.mark.parametrize("bad", [
    "file:///etc/passwd", "file://localhost/etc/passwd", "filesystem:///etc/passwd", "swift://a/b", "swift+config://a/b/c", "rbd://a/b/c/d",
    "s3://k:s@h/b/o", "cinder://x", "ftp://h/x", "junk", "", "//h/x", "http:///x", "http://127.0.0.1:1/x", "http://10.0.0.1/x", "HTTP://h/x",
    "http://169.254.169.254/latest", "http://u:p@127.0.0.1/x", "http://127.0.0.1:99999/x", "http://[::1]/x", "http://a b/",
])  # fmt: skip
def test_what_cannot_be_a_location(me, image, bad):
    status, text = told(me, image, add(at(bad)))
    assert status == 400 and "Invalid location" in text, text
    assert me.get(f"/images/{image}").json()["status"] == "queued"


def test_another_images_data_cannot_be_named(cloud, me, other, image):
    upload(me, image)
    [(own, _)] = shown(me, image)
    theirs = other.post("/images", {"name": "thief", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    for said in (own, own.removeprefix("file://"), own.rpartition("/")[2]):
        assert told(other, theirs, add(at(said)))[0] == 400
        assert other.post(f"/images/{theirs}/locations", {"url": said}).status_code == 403
    service = cloud.caller("/image/v2", "service", "member", project="p2", user="nova")
    assert service.post(f"/images/{theirs}/locations", {"url": own}).status_code == 400


def test_a_server_that_does_not_say_how_much_there_is(me, web, image):
    for url, why in ((web.serve("/0", b""), "does not say how many bytes"), (f"{web.url}/nothing", "answered 404")):
        status, text = told(me, image, add(at(url)))
        assert status == 400 and "Invalid location: " in text and why in text


def test_bodies_that_are_no_locations(me, url, image):
    for value, why in (("x", "is not of type 'object'"), ({"url": url}, "'metadata' is a required property"), (at(5), "not of type 'string'"),
                       (at("http://h/" + "x" * 250), "is too long"), ({"url": url, "metadata": []}, "is not of type 'object'"),
                       (at(url, validation_data={"checksum": MD5}), "is a required property"),
                       (at(url, validation_data=HASHES | {"checksum": "ab"}), "is too short"),
                       (at(url, validation_data=HASHES | {"more": "x"}), "Additional properties are not allowed")):  # fmt: skip
        status, text = told(me, image, add(value))
        assert status == 400 and "Provided object does not match schema 'image'" in text and why in text, text
    for metadata in ({"n": 5}, {"n": None}, {"a": ["x", {"b": 1}]}):
        status, text = told(me, image, add(at(url, metadata)))
        assert status == 400 and "its metadata can be texts" in text
    assert patch(me, image, add(at(url, {"a": ["x", {"b": "c"}], "store": "file"}))).status_code == 200
    assert shown(me, image) == [(url, {"a": ["x", {"b": "c"}], "store": "web"})]


def test_hashes_that_are_told_with_a_location(me, web, url, image):
    for said, why in ((HASHES | {"os_hash_algo": "sha256"}, "os_hash_algo must be sha512, not sha256"),
                      (HASHES | {"os_hash_value": "zz"}, "os_hash_value (zz) is not a valid hexadecimal value"),
                      (HASHES | {"os_hash_value": "ab"}, "os_hash_value (ab) is not the correct size for sha512 (should be 64 bytes)"),
                      (HASHES | {"checksum": "x" * 32}, "is not a valid hexadecimal value"),
                      (HASHES | {"checksum": "ab  " + "c" * 28}, "is not the correct size for md5")):  # fmt: skip
        status, text = told(me, image, add(at(url, validation_data=said)))
        assert status == 409 and why in text, text
    wrong = HASHES | {"os_hash_value": "ab" * 64}
    other = at(web.serve("/other", DATA), validation_data=wrong)
    status, text = told(me, image, replace(at(url, validation_data=HASHES), other))
    assert status == 409 and "Conflicting values for os_hash_value" in text
    made = patch(me, image, add(at(url, validation_data=HASHES | {"checksum": MD5}))).json()
    assert (made["checksum"], made["os_hash_algo"], made["os_hash_value"]) == (MD5, "sha512", SHA)
    status, text = told(me, image, add(other))
    assert status == 409 and "os_hash_value is already set with a different value" in text
    assert patch(me, image, add(other | {"validation_data": HASHES})).status_code == 200


def test_hashes_are_told_while_an_image_is_queued(me, web, url, image):
    assert patch(me, image, add(at(url))).status_code == 200
    status, text = told(me, image, add(at(web.serve("/other", DATA), validation_data=HASHES)))
    assert status == 409 and "New value(s) for os_hash_algo, os_hash_value may only be provided when image status is 'queued'" in text


def test_an_image_has_ten_locations_at_most(me, web, image):
    urls = [at(web.serve(f"/{n}", DATA)) for n in range(12)]
    status, text = told(me, image, replace(*urls))
    assert status == 413 and "number of allowed image locations. Attempted: 12, Maximum: 10" in text
    assert patch(me, image, replace(*urls[:10])).status_code == 200
    status, text = told(me, image, add(urls[10]))
    assert status == 413 and "Attempted: 11, Maximum: 10" in text


def test_when_locations_can_be_changed(me, admin, url, image):
    status, text = told(admin, image, remove("0"))
    assert status == 409 and "It's not allowed to remove locations if image status is queued." in text
    patch(me, image, add(at(url)))
    me.post(f"/images/{image}/actions/deactivate")
    for operation, doing in ((add(at(url + "x")), "add"), (replace(at(url)), "replace"), (remove("0"), "remove")):
        status, text = told(admin, image, operation)
        assert status == 409 and f"It's not allowed to {doing} locations if image status is deactivated." in text


def test_who_may_change_locations(cloud, me, other, reader, web, url, image):
    assert told(reader, image, add(at(url)))[0] == 403 and told(other, image, add(at(url)))[0] == 404
    assert reader.post(f"/images/{image}/locations", {"url": url}).status_code == 403
    assert other.post(f"/images/{image}/locations", {"url": url}).status_code == 404
    assert web.asked == [], "nobody is asked for those who may not say it"


@pytest.mark.parametrize("settings", [SETTINGS | {"show_multiple_locations": False}])
def test_what_is_not_shown_is_not_changed(me, admin, web, url, image):
    for operation, doing in ((add(at(url)), "add"), (replace(at(url)), "update"), (remove("0"), "remove")):
        status, text = told(admin, image, operation)
        assert status == 403 and f"It's not allowed to {doing} locations if locations are invisible." in text
    assert web.asked == []


@pytest.mark.parametrize("settings", [SETTINGS | {"image_stores": SETTINGS["image_stores"][:2]}])
def test_without_a_store_for_the_web_there_are_no_locations_there(me, web, url, image):
    assert "this cloud has no store for these" in told(me, image, add(at(url)))[1]
    answer = me.post(f"/images/{image}/locations", {"url": url})
    assert answer.status_code == 403 and "http store must be enabled to use location API by normal user." in answer.text
    assert web.asked == []


# -- importing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hash", [None, "sha512", "sha256", "sha1", "md5"])
def test_an_imported_location_is_read_once_and_its_hash_is_known(cloud, me, url, image, hash):
    found = hashlib.new(hash or "sha512", DATA).hexdigest()
    said = {"validation_data": {"os_hash_algo": hash, "os_hash_value": found.upper()}} if hash else {}
    answer = me.post(f"/images/{image}/locations", {"url": url} | said)
    assert answer.status_code == 202 and answer.content == b""
    begun = me.get(f"/images/{image}").json()
    assert begun["status"] == "importing" and begun["os_glance_import_task"] == tasks(me, image)[0]["id"]
    cloud.settle()
    made = me.get(f"/images/{image}").json()
    assert (made["status"], made["size"], made["virtual_size"], made["checksum"]) == ("active", len(DATA), len(DATA), MD5)
    assert (made["os_hash_algo"], made["os_hash_value"]) == (hash or "sha512", found) and "os_glance_import_task" not in made
    assert made["locations"] == [{"url": url, "metadata": {"store": "web"}}]
    [task] = tasks(me, image)
    assert (task["type"], task["status"], task["result"]) == ("location_import", "success", {"image_id": image})
    assert task["input"]["loc_url"] == url
    again = me.post(f"/images/{image}/locations", {"url": url})
    assert again.status_code == 409 and "not allowed to add locations if image status is active" in again.text.replace("&#x27;", "'")
    assert me.get(f"/images/{image}/file").content == DATA


def test_a_location_that_is_not_what_it_was_said_to_be_leaves_the_image_queued(cloud, me, web, url):
    lie = web.serve("/lie", b"QFI\xfb" + bytes(100))
    for disk_format, asked, why in (
        ("raw", {"url": url, "validation_data": HASHES | {"os_hash_value": "ab" * 64}}, "not matched with actual os_hash_value"),
        ("raw", {"url": f"{web.url}/nothing"}, "answered 404"),
        ("qcow2", {"url": lie}, "The image was refused"),
    ):
        id = me.post("/images", {"name": "i", "disk_format": disk_format, "container_format": "bare"}).json()["id"]
        assert me.post(f"/images/{id}/locations", asked).status_code == 202
        cloud.settle()
        seen = me.get(f"/images/{id}").json()
        assert (seen["status"], seen["locations"], seen["checksum"], seen["os_hash_algo"]) == ("queued", [], None, None)
        assert seen["stores"] == "web" and me.get(f"/images/{id}/file").status_code == 204
        [task] = tasks(me, id)
        assert task["status"] == "failure" and why in task["message"], task
        if disk_format == "raw":
            upload(me, id, b"\x01data")
            seen = me.get(f"/images/{id}").json()
            assert seen["stores"] == "file" and len(seen["locations"]) == 1 and me.get(f"/images/{id}/file").content == b"\x01data"


def test_locations_that_are_not_imported(cloud, me, url, image):
    def post(body):
        answer = me.post(f"/images/{image}/locations", body)
        return answer.status_code, answer.text.replace("&#x27;", "'")

    for hash, why in (({"os_hash_algo": "sha512"}, "'os_hash_value' is a dependency of 'os_hash_algo'"),
                      ({"os_hash_value": "ab"}, "'os_hash_algo' is a dependency of 'os_hash_value'"),
                      ({"os_hash_algo": "sha384", "os_hash_value": "ab"}, "is not one of ['sha1', 'sha256', 'sha512', 'md5']"),
                      ({"os_hash_algo": "sha512", "os_hash_value": "zz"}, "os_hash_value (zz) is not a valid hexadecimal value"),
                      ({"os_hash_algo": "sha512", "os_hash_value": "ab"},
                       "os_hash_value: (ab) is not the correct size for (sha512) (should be (64) bytes)")):  # fmt: skip
        status, text = post({"url": url, "validation_data": hash})
        assert status == 400 and why in text, text
    status, text = post({"url": "http://10.0.0.1/x"})
    assert status == 400 and "URI for add location does not pass filtering: http://10.0.0.1/x (" in text
    assert post({"url": "file:///etc/passwd"})[0] == 403
    assert tasks(me, image) == []


def test_an_image_that_is_deleted_while_its_location_is_read_is_gone(cloud, me, url, image):
    assert me.post(f"/images/{image}/locations", {"url": url}).status_code == 202
    assert me.delete(f"/images/{image}").status_code == 204
    cloud.settle()
    assert me.get(f"/images/{image}").status_code == 404
    assert left(cloud) == {"file": 0, "two": 0, "web": 0, "staging": 0}


def test_a_location_can_be_copied_to_a_store_of_this_cloud(cloud, me, admin, web, url, image):
    me.post(f"/images/{image}/locations", {"url": url})
    cloud.settle()
    assert ask(admin, image, COPY | {"stores": ["two"]}).status_code == 202
    cloud.settle()
    assert left(cloud) == {"file": 0, "two": 1, "web": 0, "staging": 0}
    web.answers.clear()
    assert me.get(f"/images/{image}/file").content == DATA


# -- the store of the web ------------------------------------------------------------------------------------------


def test_a_store_of_others_servers_takes_no_data(me, admin, url, image):
    assert {"id": "web", "read-only": "true"} in me.get("/info/stores").json()["stores"]
    answer = me("PUT", f"/images/{image}/file", content=DATA, headers=OCTETS | {"X-Image-Meta-Store": "web"})
    assert answer.status_code == 410, answer.text
    upload(me, image)
    assert ask(admin, image, COPY | {"stores": ["web"]}).status_code == 409
    assert patch(me, image, add(at(url))).status_code == 200
    assert admin.delete(f"/stores/web/{image}").status_code == 204
    assert me.get(f"/images/{image}").json()["stores"] == "file"


@pytest.mark.parametrize(("tables", "why"), [
    ([{"type": "http", "id": "web", "default": True}], "takes no data and so cannot be the default"),
    ([*SETTINGS["image_stores"], {"type": "http", "id": "more"}], "there can be one store of type http"),
])  # fmt: skip
def test_stores_of_the_web_that_cannot_be(tables, why):
    with pytest.raises(ConfigError, match=why):
        load(None, {}, image_stores=tables)
