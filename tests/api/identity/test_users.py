from __future__ import annotations

import pytest

from cumulet.identity import passwords


def test_create_show_update_delete(cloud, admin):
    made = admin.post("/users", {"user": {"name": "Zoë 云", "password": "pw", "email": "z@example.org", "description": "d"}})
    user = made.json()["user"]
    assert made.status_code == 201 and user["domain_id"] == "default" and user["enabled"] is True
    assert user["email"] == "z@example.org" and user["options"] == {} and user["password_expires_at"] is None
    assert user["links"] == {"self": f"http://cloud/identity/v3/users/{user['id']}"}
    assert "password" not in user and "password_hash" not in user and "default_project_id" not in user
    assert admin.get(f"/users/{user['id']}").json()["user"] == user
    changed = admin.patch(f"/users/{user['id']}", {"user": {"name": "Z", "email": None, "colour": "red"}}).json()["user"]
    assert changed["name"] == "Z" and changed["email"] is None and changed["colour"] == "red" and changed["description"] == "d"
    assert admin.delete(f"/users/{user['id']}").status_code == 204
    gone = admin.get(f"/users/{user['id']}")
    assert gone.status_code == 404
    assert gone.json()["error"] == {"code": 404, "message": f"Could not find user: {user['id']}.", "title": "Not Found"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "u", "enabled": "yes"}, "enabled"),
        ({"name": "u", "password": "p" * 4097}, "password"),
        ({"name": "u", "options": {"unheard_of": True}}, "unheard_of"),
        ({"name": "u", "note": {"deep": ["\0"]}}, "note"),
    ],
)
def test_bad_bodies_name_the_field(admin, body, field):
    answer = admin.post("/users", {"user": body})
    assert answer.status_code == 400 and field in answer.json()["error"]["message"]


def test_a_name_is_taken_once_in_a_domain(cloud, admin):
    cloud.user(admin, "u")
    again = admin.post("/users", {"user": {"name": "u"}})
    assert again.status_code == 409 and "u" in again.json()["error"]["message"]
    other = cloud.user(admin, "v")
    assert admin.patch(f"/users/{other['id']}", {"user": {"name": "u"}}).status_code == 409
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    assert admin.post("/users", {"user": {"name": "u", "domain_id": domain["id"]}}).status_code == 201
    assert admin.post("/users", {"user": {"name": "w", "domain_id": "nowhere"}}).status_code == 404


def test_lists_filter_and_page(cloud, admin):
    for name in ("Ann", "Hannah", "Bob%"):
        cloud.user(admin, name, enabled=name != "Ann")

    def names(query: str) -> list[str]:
        return [user["name"] for user in admin.get(f"/users?{query}").json()["users"]]

    assert names("name=Ann") == ["Ann"] and names("enabled=false") == ["Ann"] and names("enabled=0") == ["Ann"]
    assert names("name__contains=nn") == ["Ann", "Hannah"] and names("name__contains=NN") == []
    assert names("name__icontains=ANN") == ["Ann", "Hannah"] and names("name__startswith=Ha") == ["Hannah"]
    assert names("name__endswith=ah") == ["Hannah"] and names("name__contains=%25") == ["Bob%"]
    assert names("domain_id=nowhere") == [] and "Ann" in names("unheard_of=1")
    page = admin.get("/users?limit=2").json()
    assert [user["name"] for user in page["users"]] == ["Ann", "Bob%"] and page["links"]["previous"] is None
    following = page["links"]["next"].removeprefix("http://cloud/identity/v3")
    assert [user["name"] for user in admin.get(following).json()["users"]] == ["Hannah", "admin"]
    whole = admin.get("/users").json()
    assert len(whole["users"]) == 5 and whole["links"] == {
        "next": None, "self": "http://cloud/identity/v3/users", "previous": None}  # fmt: skip
    assert admin.get("/users?limit=x").status_code == 400


def test_ones_own_password(cloud, admin):
    user = cloud.user(admin, "u")
    path, stranger = f"/users/{user['id']}/password", cloud.stranger(cloud.base)
    token = cloud.login("u", "pw")
    wrong = stranger.post(path, {"user": {"original_password": "no", "password": "new"}})
    assert wrong.status_code == 401 and token.get("/auth/projects").status_code == 200
    assert stranger.post(path, {"user": {"original_password": "pw", "password": "new"}}).status_code == 204
    assert token.get("/auth/projects").status_code == 401
    assert cloud.ask("u", "pw").status_code == 401 and cloud.ask("u", "new").status_code == 201
    admin.patch(f"/users/{user['id']}", {"user": {"options": {"lock_password": True}}})
    assert stranger.post(path, {"user": {"original_password": "new", "password": "x"}}).status_code == 400
    assert stranger.post("/users/nobody/password", {"user": {"original_password": "a", "password": "b"}}).status_code == 401


def test_a_user_without_a_password_cannot_log_in(cloud, admin):
    admin.post("/users", {"user": {"name": "u"}})
    assert cloud.ask("u", "").status_code == 401 and cloud.ask("u", "None").status_code == 401


def test_long_and_odd_passwords_count_whole():
    long = "p" * 100
    held = passwords.hashed(long + "1", 4)
    assert passwords.matches(long + "1", held) and not passwords.matches(long + "2", held)
    assert passwords.matches("пароль 🔑", passwords.hashed("пароль 🔑", 4))


def test_what_policy_lets_whom_do(cloud, admin, demo):
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]
    other = cloud.user(admin, "other")
    assert demo.get(f"/users/{me['id']}").status_code == 200
    for answer in (demo.get(f"/users/{other['id']}"), demo.get("/users/nobody"), demo.get("/users")):
        assert answer.status_code == 403
    refused = demo.post("/users", {"user": {"name": "x"}}).json()["error"]
    message = "You are not authorized to perform the requested action: identity:create_user."
    assert refused == {"code": 403, "message": message, "title": "Forbidden"}
    assert cloud.stranger(cloud.base).get("/users").status_code == 401


def test_the_manager_of_a_domain(cloud, admin):
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    boss = cloud.user(admin, "boss", domain_id=domain["id"])
    cloud.grant(admin, "manager", f"domains/{domain['id']}/users/{boss['id']}")
    manager = cloud.login("boss", "pw", scope={"domain": {"id": domain["id"]}}, domain="d")
    assert manager.post("/users", {"user": {"name": "u"}}).status_code == 403, "it does not say where"
    made = manager.post("/users", {"user": {"name": "u", "domain_id": domain["id"]}})
    assert made.status_code == 201 and made.json()["user"]["domain_id"] == domain["id"]
    path = f"/users/{made.json()['user']['id']}"
    assert manager.patch(path, {"user": {"description": "x"}}).status_code == 200
    assert {user["name"] for user in manager.get("/users").json()["users"]} == {"boss", "u"}
    assert manager.post("/users", {"user": {"name": "v", "domain_id": "default"}}).status_code == 403
    outsider = cloud.user(admin, "outsider")
    assert manager.get(f"/users/{outsider['id']}").status_code == 403
    assert manager.delete(f"/users/{outsider['id']}").status_code == 403
    project = manager.post("/projects", {"project": {"name": "p", "domain_id": domain["id"]}}).json()["project"]
    assert project["domain_id"] == domain["id"]
    on = f"projects/{project['id']}/users/{boss['id']}"
    assert manager.put(f"/{on}/roles/{cloud.role(admin, 'member')}").status_code == 204
    assert manager.put(f"/{on}/roles/{cloud.role(admin, 'admin')}").status_code == 403
    assert manager.delete(path).status_code == 204
