"""Importing images: what may be asked for when, what an image shows meanwhile, and what it is afterwards."""

from __future__ import annotations

import hashlib

import pytest
from image_imports import COPY, DATA, DIRECT, OCTETS, ask, fetch, left, make, stage, tasks
from starlette.requests import ClientDisconnect

from cumulet.image.locations import locations
from cumulet.kernel.testing.cloud import Cloud
from web_server import web_server

NOBODY = "00000000-0000-0000-0000-000000000000"
STORES = [{"type": "file", "id": "fast", "default": True}, {"type": "file", "id": "slow", "directory": "slow"}]


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def cloud(database_url: str, tmp_path):
    settings = {"image_stores": STORES, "image_import": {"allowed_ports": [], "allowed_networks": ["127.0.0.1/32"]}}
    made = make(database_url, tmp_path, **settings)
    yield made
    made.close()


# -- staging -------------------------------------------------------------------------------------------------------


def test_staged_data_waits_for_its_import(cloud, me, image):
    assert ask(me, image, DIRECT).status_code == 409
    assert stage(me, image).status_code == 204
    shown = me.get(f"/images/{image}").json()
    assert (shown["status"], shown["size"], shown["checksum"]) == ("uploading", len(DATA), None)
    assert "stores" not in shown or not shown["stores"]
    again = stage(me, image)
    assert again.status_code == 409 and "from uploading to uploading" in again.text
    assert me("PUT", f"/images/{image}/file", content=DATA, headers=OCTETS).status_code == 409
    assert me.get(f"/images/{image}/file").status_code == 204
    assert left(cloud) == {"fast": 0, "slow": 0, "staging": 1}


def test_who_may_stage(cloud, me, other, reader, image):
    assert stage(other, image).status_code == 404
    assert stage(reader, image).status_code == 403
    assert stage(me, NOBODY).status_code == 404
    assert me("PUT", f"/images/{image}/stage", content=DATA, headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_client_that_dies_while_staging_leaves_the_image_queued(cloud, me, image):
    async def dying():
        yield b"x" * 1000
        raise ClientDisconnect

    assert stage(me, image, dying()).status_code == 400
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert left(cloud)["staging"] == 0
    assert stage(me, image).status_code == 204


def test_more_is_not_staged_than_an_image_may_have(cloud, me, image):
    cloud.runtime.config.image_size_max_gib = 0
    assert stage(me, image).status_code == 413
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert left(cloud)["staging"] == 0


# -- importing -----------------------------------------------------------------------------------------------------


def test_import_of_what_is_staged(cloud, me, image):
    stage(me, image)
    assert ask(me, image, DIRECT).status_code == 202
    shown = me.get(f"/images/{image}").json()
    [task] = tasks(me, image)
    assert shown["status"] == "importing" and shown["os_glance_import_task"] == task["id"]
    assert shown["os_glance_importing_to_stores"] == "fast" and shown["os_glance_failed_import"] == ""
    second = ask(me, image, DIRECT)
    assert second.status_code == 409 and "active task" in second.text
    cloud.settle()
    shown = me.get(f"/images/{image}").json()
    assert shown["status"] == "active" and shown["checksum"] == hashlib.md5(DATA).hexdigest()
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest() and shown["size"] == len(DATA)
    assert shown["os_glance_importing_to_stores"] == shown["os_glance_failed_import"] == "" and "os_glance_import_task" not in shown
    assert me.get(f"/images/{image}/file").content == DATA
    assert left(cloud) == {"fast": 1, "slow": 0, "staging": 0}


def test_what_a_task_tells(cloud, me, image):
    stage(me, image)
    asked = ask(me, image, DIRECT)
    cloud.settle()
    [task] = tasks(me, image)
    assert task["status"] == "success" and task["type"] == "api_image_import" and task["message"] == "Copied 1 MiB"
    assert task["input"] == {"image_id": image, "import_req": {"method": {"name": "glance-direct"}}, "backend": ["fast"]}
    assert task["result"] == {"image_id": image} and task["request_id"] == asked.headers["x-openstack-request-id"]
    assert task["expires_at"] > task["updated_at"] and not task["deleted"]


def test_to_several_stores(cloud, me, image):
    stage(me, image)
    assert ask(me, image, DIRECT | {"all_stores": True}).status_code == 202
    assert me.get(f"/images/{image}").json()["os_glance_importing_to_stores"] == "fast,slow"
    cloud.settle()
    assert me.get(f"/images/{image}").json()["status"] == "active"
    assert left(cloud) == {"fast": 1, "slow": 1, "staging": 0}


@pytest.mark.parametrize("every", [True, False])
def test_a_store_that_fails(cloud, me, image, every):
    broken(cloud, "slow")
    stage(me, image)
    ask(me, image, DIRECT | {"stores": ["fast", "slow"], "all_stores_must_succeed": every})
    cloud.settle()
    shown, [task] = me.get(f"/images/{image}").json(), tasks(me, image)
    assert shown["status"] == ("queued" if every else "active") and task["status"] == ("failure" if every else "success")
    assert shown["os_glance_failed_import"] == ("fast,slow" if every else "slow") and shown["os_glance_importing_to_stores"] == ""
    assert "slow" in task["message"] or not every
    assert {name: n for name, n in left(cloud).items() if name != "slow"} == {"fast": 0 if every else 1, "staging": 0}


def test_no_store_that_takes_it(cloud, me, image):
    broken(cloud, "slow")
    stage(me, image)
    ask(me, image, DIRECT | {"stores": ["slow"], "all_stores_must_succeed": False})
    cloud.settle()
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert "None of the uploads finished" in tasks(me, image)[0]["message"]


def broken(cloud: Cloud, store: str) -> None:
    """A store whose directory is a file."""
    (cloud.runtime.config.root / store).write_text("")


def test_what_is_not_what_it_says_leaves_the_image_queued_and_can_be_tried_again(cloud, me):
    image = me.post("/images", {"disk_format": "qcow2", "container_format": "bare"}).json()["id"]
    stage(me, image)
    ask(me, image, DIRECT)
    cloud.settle()
    shown, [task] = me.get(f"/images/{image}").json(), tasks(me, image)
    assert shown["status"] == "queued" and shown["size"] is None and shown["os_glance_failed_import"] == "fast"
    assert task["status"] == "failure" and "disk_format qcow2 does not match stream data raw" in task["message"]
    assert left(cloud) == {"fast": 0, "slow": 0, "staging": 0}
    assert stage(me, image).status_code == 204


def test_a_signature_that_cannot_be_checked_leaves_the_image_queued(cloud, me):
    signed = {"img_signature": "eA==", "img_signature_hash_method": "SHA-256", "img_signature_key_type": "RSA-PSS",
              "img_signature_certificate_uuid": NOBODY}  # fmt: skip
    image = me.post("/images", {"disk_format": "raw", "container_format": "bare"} | signed).json()["id"]
    stage(me, image)
    ask(me, image, DIRECT)
    cloud.settle()
    assert me.get(f"/images/{image}").json()["status"] == "queued"
    assert "Signature verification failed" in tasks(me, image)[0]["message"]
    assert left(cloud) == {"fast": 0, "slow": 0, "staging": 0}


@pytest.mark.parametrize(("body", "status", "words"), [
    (None, 400, "Body expected"), ({}, 400, "requires a 'method' field"), ({"method": {}}, 400, "requires a 'name' field"),
    ([], 400, "method"), ({"method": {"name": "nope"}}, 400, "Unknown import method name 'nope'."), ({"method": {"name": 5}}, 400, "name"),
    ({"method": {"name": "web-download"}}, 400, "does not pass filtering: None"), (DIRECT | {"all_stores": "yes"}, 400, "boolean value only"),
    (DIRECT | {"all_stores_must_succeed": "yes"}, 400, "boolean value only"), (DIRECT, 409, "needs to be staged before"),
    (COPY, 409, "status active"), ({"method": {"name": "glance-download", "glance_image_id": NOBODY}}, 400, "'glance_region' needs"),
    ({"method": {"name": "glance-download", "glance_region": "r"}}, 400, "'glance_image_id' needs"),
    ({"method": {"name": "glance-download", "glance_region": "r", "glance_image_id": "x"}}, 400, "image id does not look like a UUID: x"),
    ({"method": {"name": "web-download", "uri": 5}}, 400, "uri"), (DIRECT | {"stores": "fast"}, 400, "stores"),
])  # fmt: skip
def test_what_cannot_be_asked_for(me, image, body, status, words):
    answer = ask(me, image, body)
    assert answer.status_code == status and words in answer.text.replace("&#x27;", "'"), answer.text


def test_stores_that_cannot_be_asked_for(cloud, me, image):
    stage(me, image)
    for more, status in (({"stores": ["nope"]}, 409), ({"stores": []}, 400), ({"stores": ["fast"], "all_stores": True}, 400)):
        assert ask(me, image, DIRECT | more).status_code == status
    header = {"X-Image-Meta-Store": "slow"}
    assert me.post(f"/images/{image}/import", DIRECT | {"stores": ["fast"]}, headers=header).status_code == 400
    assert me.post(f"/images/{image}/import", DIRECT, headers=header).status_code == 202
    assert me.get(f"/images/{image}").json()["os_glance_importing_to_stores"] == "slow"


def test_formats_come_first(me):
    image = me.post("/images", {"name": "bare"}).json()["id"]
    assert stage(me, image).status_code == 204
    assert "'container_format' needs to be set before import" in ask(me, image, DIRECT).text


def test_who_may_import(cloud, me, other, reader, admin, image):
    stage(me, image)
    assert ask(other, image, DIRECT).status_code == ask(me, NOBODY, DIRECT).status_code == 404
    assert ask(reader, image, DIRECT).status_code == 403
    assert ask(admin, image, DIRECT).status_code == 202
    assert other.get(f"/images/{image}/tasks").status_code == 404


def test_nobody_sets_what_an_import_shows(cloud, me, image):
    for name in ("os_glance_import_task", "os_glance_failed_import"):
        for change in ({"op": "add", "path": f"/{name}", "value": "x"}, {"op": "remove", "path": f"/{name}"}):
            answer = me.patch(f"/images/{image}", [change], headers={"Content-Type": "application/openstack-images-v2.1-json-patch"})
            assert answer.status_code == 403 and "reserved" in answer.text


# -- deleting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["uploading", "importing", "active"])
def test_a_delete_wins(cloud, me, image, state):
    stage(me, image)
    if state != "uploading":
        ask(me, image, DIRECT)
    if state == "active":
        cloud.settle()
    assert me.delete(f"/images/{image}").status_code == 204
    assert me.get(f"/images/{image}").status_code == me.get(f"/images/{image}/tasks").status_code == 404
    cloud.settle()
    assert left(cloud) == {"fast": 0, "slow": 0, "staging": 0}
    assert all(row.image_id is None for row in cloud.transact(lambda tx: tx.rows(locations)))


def test_the_task_of_a_deleted_image_says_so(cloud, me, admin, image):
    stage(me, image)
    ask(me, image, DIRECT)
    [task] = tasks(me, image)
    me.delete(f"/images/{image}")
    shown = admin.get(f"/tasks/{task['id']}").json()
    assert (shown["status"], shown["message"]) == ("failure", "The image was deleted.")


# -- copying -------------------------------------------------------------------------------------------------------


@pytest.fixture
def active(cloud, me, image) -> str:
    stage(me, image)
    ask(me, image, DIRECT)
    cloud.settle()
    return image


def test_copying_to_another_store(cloud, me, admin, active):
    assert ask(me, active, COPY | {"stores": ["slow"]}).status_code == 403
    assert ask(admin, active, COPY | {"stores": ["fast"]}).status_code == 400
    assert ask(admin, active, COPY | {"stores": ["slow"]}).status_code == 202
    shown = me.get(f"/images/{active}").json()
    assert shown["status"] == "active" and shown["os_glance_importing_to_stores"] == "slow"
    assert ask(admin, active, COPY | {"all_stores": True}).status_code == 409
    assert me.get(f"/images/{active}/file").content == DATA
    cloud.settle()
    shown = me.get(f"/images/{active}").json()
    assert shown["os_glance_importing_to_stores"] == "" and "os_glance_import_task" not in shown
    assert left(cloud) == {"fast": 1, "slow": 1, "staging": 0}
    assert ask(admin, active, COPY | {"all_stores": True}).status_code == 202
    assert len(tasks(me, active)) == 2


def test_a_copy_that_fails_leaves_the_image_as_it_was(cloud, me, admin, active):
    broken(cloud, "slow")
    ask(admin, active, COPY | {"all_stores": True})
    cloud.settle()
    shown = me.get(f"/images/{active}").json()
    assert shown["status"] == "active" and shown["os_glance_failed_import"] == "slow" and "os_glance_import_task" not in shown
    assert tasks(me, active)[1]["status"] == "failure" and left(cloud)["fast"] == 1


def test_a_copy_of_damaged_data_is_none(cloud, me, admin, active):
    [file] = [path for path in (cloud.runtime.config.root / "images").glob("*") if path.is_file()]
    file.write_bytes(DATA[:-1] + b"x")
    ask(admin, active, COPY | {"stores": ["slow"]})
    cloud.settle()
    assert "digest is another" in tasks(me, active)[1]["message"]
    assert left(cloud)["slow"] == 0


# -- from the web --------------------------------------------------------------------------------------------------


def test_from_the_web(cloud, me, image, web):
    assert fetch(me, image, web.serve("/disk", DATA)).status_code == 202
    cloud.settle()
    assert me.get(f"/images/{image}").json()["status"] == "active"
    assert me.get(f"/images/{image}/file").content == DATA
    assert left(cloud) == {"fast": 1, "slow": 0, "staging": 0}
    [(_, headers)] = web.asked
    assert headers["Accept-Encoding"] == "identity" and "X-Auth-Token" not in headers


def test_an_answer_that_is_no_image(cloud, me, image, web):
    def short(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)

    web.answers["/short"] = short
    for url, words in (
        (web.url + "/none", "answered 404"), (web.url + "/short", "could not be read"),
        (web.serve("/huge", b"", Content_Length=str(1 << 41)), "the limit is"),
        (web.serve("/gz", b"x", Content_Encoding="gzip"), "encoded"), ("http://127.0.0.1:1/x", "could not be read"),
    ):  # fmt: skip
        assert fetch(me, image, url).status_code == 202
        cloud.settle()
        task = tasks(me, image)[-1]
        assert task["status"] == "failure" and words in task["message"], task
        assert me.get(f"/images/{image}").json()["status"] == "queued"
        assert left(cloud) == {"fast": 0, "slow": 0, "staging": 0}


def test_a_server_that_stalls(database_url, tmp_path, web):
    def stalling(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)
        handler.rfile.read(1)  # until the other side has gone

    web.answers["/slow"] = stalling
    cloud = make(database_url, tmp_path, image_import={"allowed_ports": [], "allowed_networks": ["127.0.0.1"], "stall_seconds": 0.2})
    me = cloud.caller("/image/v2")
    image = me.post("/images", {"disk_format": "raw", "container_format": "bare"}).json()["id"]
    fetch(me, image, web.url + "/slow")
    cloud.settle()
    assert "hardly sent anything, for 0.2 seconds" in tasks(me, image)[0]["message"]
    cloud.close()


def test_redirects_are_followed_and_each_is_checked(cloud, me, image, web):
    web.serve("/a", b"", 302, Location="/b")
    web.serve("/b", b"", 307, Location=web.url + "/disk")
    web.serve("/disk", DATA)
    web.serve("/round", b"", 301, Location="/round")
    web.serve("/inside", b"", 302, Location=f"http://127.0.0.2:{web.port}/disk")
    web.serve("/file", b"", 302, Location="file:///etc/passwd")
    for path, words in (("/round", "more than 5 times"), ("/inside", "127.0.0.2 is no public address"), ("/file", "the scheme is file")):
        assert fetch(me, image, web.url + path).status_code == 202
        cloud.settle()
        assert words in tasks(me, image)[-1]["message"]
    assert not [path for path, _ in web.asked if path == "/disk"]
    fetch(me, image, web.url + "/a")
    cloud.settle()
    assert me.get(f"/images/{image}").json()["status"] == "active"


def test_addresses_that_are_nobodys_to_fetch_from(me, image):
    for url in ("http://127.0.0.2/x", "http://localhost.invalid/x", "ftp://127.0.0.1/x", "http://u:p@127.0.0.1/x", "http://[::1]/x", "http://0x7f000002/x",
                "http://169.254.169.254/latest", "http://10.1.2.3/x", "x", "http:///x", "http://[::ffff:127.0.0.2]/", "http://127.0.0.1:99999/"):  # fmt: skip
        answer = fetch(me, image, url)
        assert answer.status_code == 400 and "does not pass filtering" in answer.text, answer.text
    assert tasks(me, image) == []
