"""The tasks API: who sees tasks, and images that are made by one."""

from __future__ import annotations

import pytest
from image_imports import DATA, DIRECT, ask, left, make, stage

from web_server import web_server

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = make(database_url, tmp_path, image_import={"allowed_ports": [], "allowed_networks": ["127.0.0.1"]})
    yield made
    made.close()


@pytest.fixture
def done(cloud, me, image) -> str:
    stage(me, image)
    ask(me, image, DIRECT)
    cloud.settle()
    return me.get(f"/images/{image}/tasks").json()["tasks"][0]["id"]


def wanted(url: str, **properties) -> dict:
    named = {"name": "i", "visibility": "private"} | properties
    return {"type": "import", "input": {"import_from": url, "import_from_format": "raw", "image_properties": named}}


def test_tasks_are_for_administrators(me, admin, done):
    assert me.get("/tasks").status_code == me.get(f"/tasks/{done}").status_code == me.post("/tasks", {}).status_code == 403
    assert admin.get(f"/tasks/{NOBODY}").status_code == 404


def test_a_task_and_the_list_of_them(admin, done, image):
    shown = admin.get(f"/tasks/{done}").json()
    assert (shown["status"], shown["image_id"], shown["result"]) == ("success", image, {"image_id": image})
    assert shown["self"] == f"/v2/tasks/{done}" and shown["schema"] == "/v2/schemas/task" and shown["expires_at"] > shown["updated_at"]
    listed = admin.get("/tasks").json()
    assert [task["id"] for task in listed["tasks"]] == [done] and listed["schema"] == "/v2/schemas/tasks" and listed["first"] == "/v2/tasks"
    assert set(listed["tasks"][0]) == {"id", "type", "status", "owner", "created_at", "updated_at", "expires_at", "self", "schema"}


def test_pages_and_filters(cloud, me, admin):
    for _ in range(3):
        image = me.post("/images", {"disk_format": "raw", "container_format": "bare"}).json()["id"]
        stage(me, image)
        ask(me, image, DIRECT)
    assert len(admin.get("/tasks?status=pending").json()["tasks"]) == 3 and admin.get("/tasks?type=import").json()["tasks"] == []
    page = admin.get("/tasks?limit=2&sort_key=id&sort_dir=asc").json()
    assert len(page["tasks"]) == 2 and len(admin.get(page["next"].removeprefix("/v2")).json()["tasks"]) == 1
    for query, words in (("status=x", "Invalid status value: x"), ("type=x", "Invalid type value: x"), ("sort_dir=x", "Invalid sort direction: x"),
                         ("sort_key=x", "Sort key supplied was not valid."), ("marker=x", "Invalid marker format"), (f"marker={NOBODY}", "was not found"),
                         ("limit=x", "must be an integer"), ("limit=-1", "must be positive")):  # fmt: skip
        answer = admin.get(f"/tasks?{query}")
        assert answer.status_code == 400 and words in answer.text


def test_an_image_by_a_task(cloud, admin, web):
    answer = admin.post("/tasks", wanted(web.serve("/disk", DATA)))
    assert answer.status_code == 201 and answer.headers["Location"].endswith(answer.json()["self"])
    assert answer.json()["status"] == "pending" and "expires_at" not in answer.json()
    cloud.settle()
    shown = admin.get(answer.json()["self"].removeprefix("/v2")).json()
    assert shown["status"] == "success", shown
    image = admin.get(f"/images/{shown['result']['image_id']}").json()
    assert (image["status"], image["name"], image["disk_format"]) == ("active", "i", "raw")
    assert admin.get(f"/images/{image['id']}/file").content == DATA


def test_an_image_that_a_task_could_not_fill_is_gone(cloud, admin, web):
    answer = admin.post("/tasks", wanted(web.url + "/none"))
    cloud.settle()
    shown = admin.get(f"/tasks/{answer.json()['id']}").json()
    assert shown["status"] == "failure" and "answered 404" in shown["message"] and shown["result"] is None
    assert admin.get("/images?visibility=private").json()["images"] == [] and left(cloud) == {"file": 0, "staging": 0}


@pytest.mark.parametrize(("body", "words"), [
    ({}, "Task 'type' is required"), ({"type": "import"}, "Task 'input' is required"), ({"type": "import", "input": 5}, "input"),
    ({"type": "nope", "input": {}}, "type"), ({"type": "import", "input": {}}, "Invalid location: None"), ([], "Body expected"),
    ({"type": "import", "input": {"import_from": "file:///etc/passwd"}}, "File based imports are not allowed."),
    ({"type": "import", "input": {"import_from": "swift://x"}}, "supported uri ['http']"), ({"type": "import", "input": {"import_from": 5}}, "Invalid"),
    ({"type": "import", "input": {"import_from": "http://10.0.0.1/"}}, "does not pass filtering"), (wanted("http://127.0.0.1/", min_ram="x"), "min_ram"),
])  # fmt: skip
def test_tasks_that_cannot_be(admin, body, words):
    answer = admin.post("/tasks", body)
    assert answer.status_code == 400 and words in answer.text.replace("&#x27;", "'")
    assert admin.get("/images").json()["images"] == []


@pytest.mark.parametrize(("body", "words"), [
    ({"type": "api_image_import", "input": {}}, "is empty"), ({"type": "location_import", "input": {"x": 1}}, "not here"),
    ({"type": "import", "input": {"import_from": "http://127.0.0.1/"}}, "does not contain 'import_from_format' field"),
])  # fmt: skip
def test_tasks_that_come_to_nothing_say_so(admin, body, words):
    answer = admin.post("/tasks", body)
    assert answer.status_code == 201
    shown = admin.get(f"/tasks/{answer.json()['id']}").json()
    assert shown["status"] == "failure" and words in shown["message"]


def test_what_tasks_look_like_can_be_looked_up(me, admin, done):
    schema, shown = me.get("/schemas/task").json(), admin.get(f"/tasks/{done}").json()
    assert schema["name"] == "task" and set(shown) <= set(schema["properties"])
    many = me.get("/schemas/tasks").json()
    assert many["name"] == "tasks" and "message" not in many["properties"]["tasks"]["items"]["properties"]


def test_ways_of_importing_can_be_looked_up(me):
    value = me.get("/info/import").json()["import-methods"]
    made = me.post("/images", {"name": "i"})
    assert made.headers["OpenStack-image-import-methods"].split(",") == value["value"]
    assert value["type"] == "array" and set(value["value"]) == {"glance-direct", "web-download", "copy-image", "glance-download"}
